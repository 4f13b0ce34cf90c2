"""Searching vectors on a GPU with the results of the CPU: candidates there, final scores on the vectors in memory.

FAISS's GPU indexes know no filters. More rows than are wanted are asked for, as the share of allowed ones says, until
enough of them are allowed: those come in the order of their scores, so none better was passed over. Where a filter
leaves too few among the 2,048 nearest, as one by organ may, the allowed vectors are put on the GPU by themselves.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from encoders.contracts import Vectors
from indexer.access import SearchDevice
from indexer.errors import StoreError
from indexer.vectors.found import Found, Neighbours
from indexer.vectors.gpu import FLAT_VALUES, MOST, Gpu, GpuIndex, n_gpus
from indexer.vectors.inner_products import dots_at
from indexer.vectors.probing import Trace
from indexer.vectors.selection import Rows, Selection
from indexer.vectors.vector_set import VectorSet

_LOG = logging.getLogger(__name__)
#: The GPU and the final comparison may round the last hits apart.
_MARGIN = 32
_AT_ONCE = 1_024  # queries, so that what is found for them stays small
_FIRST_LISTS, _FIRST_SHARE, _GROWTH = 16, 1 / 32, 4
#: Filtered sets kept on the GPU, and the most numbers (rows times dim) of one: 2 GB.
_KEPT_SETS, _SET_VALUES = 4, 1_000_000 * 512


@dataclass(frozen=True)
class GpuVectorSet(VectorSet):
    """A `VectorSet` whose `base` is also on a GPU; see there.

    Attributes
    ----------
    gpu : Gpu
        Where the vectors are put when first searched.
    must : bool
        Whether it is an error if they do not fit, not a reason to search on the CPU.
    """

    gpu: Gpu
    must: bool

    @cached_property
    def on_gpu(self) -> GpuIndex | None:
        """The index of all of `base`; `None` if the GPU has not the memory. Raises `StoreError` if it must be there."""
        if self.base.size <= FLAT_VALUES:
            return self._put(lambda: self.gpu.flat(self.base), "vectors")
        return self._put(lambda: self.gpu.inverted_lists(self.base, self.ann.lists), "vectors")

    @cached_property
    def _sets(self) -> OrderedDict[int, tuple[Selection, GpuIndex | None]]:
        return OrderedDict()

    def _nearest(self, query: Vectors, k: int, selection: Selection, *, exact: bool) -> Found:
        if k == 0 or exact or k + _MARGIN > MOST or self.strategy(selection, k) == "exact" or self.on_gpu is None:
            return super()._nearest(query, k, selection, exact=exact)
        search = _Search(self.on_gpu, query, k, selection)
        places = search.run()
        stopped = search.stopped
        if places is None:
            own = self._set_of(selection)
            if own is None:
                return super()._nearest(query, k, selection, exact=exact)
            in_base = selection.places[: np.searchsorted(selection.places, len(self.base))]
            found = own.search(query[None], min(k + _MARGIN, len(in_base)))[1][0]
            places = in_base[found[found >= 0]]
            stopped = "On the GPU every allowed vector was compared, by themselves."
        return self._finished(query, k, selection, places, stopped)

    def _nearest_many(
        self, queries: Vectors, k: int, selection: Selection, gone: Sequence[Rows] | None, *, exact: bool
    ) -> Neighbours:
        if exact or self.on_gpu is None or self.strategy(selection, k) == "exact":
            return super()._nearest_many(queries, k, selection, gone, exact=exact)
        if gone is not None or self.on_gpu.n_lists or k + _MARGIN > MOST:  # lists: as far as each query needs
            return self._one_by_one(queries, k, selection, gone, exact=False)
        rows = np.empty((len(queries), k), dtype=np.int64)
        scores = np.empty((len(queries), k), dtype=np.float32)
        n = _asked(k, selection)
        for start in range(0, len(queries), _AT_ONCE):
            part = queries[start : start + _AT_ONCE]
            for i, near in enumerate(self.on_gpu.search(part, n)[1], start):
                places = near[(near >= 0) & selection.mask[near]]
                found = (
                    self._finished(queries[i], k, selection, places, "")
                    if len(places) >= k
                    else self._nearest(queries[i], k, selection, exact=False)
                )
                rows[i], scores[i] = found.rows, found.scores
        return Neighbours(rows, scores)

    def _finished(self, query: Vectors, k: int, selection: Selection, places: Rows, stopped: str) -> Found:
        n_base = len(self.base)
        places = np.sort(places)
        scores = dots_at(self.base, query, places)
        if len(self.tail):
            late = selection.places[np.searchsorted(selection.places, n_base) :]
            places = np.concatenate([places, late])
            scores = np.concatenate([scores, dots_at(self.tail, query, late - n_base)])
        best = np.lexsort((places, -scores))[:k]
        every = "lists" not in stopped
        trace = Trace(0, 0, 0 if not every else selection.count, len(places), 1, stopped)
        return Found(self.item_of[places[best]], scores[best], "exact" if every else "ann", trace)

    def _set_of(self, selection: Selection) -> GpuIndex | None:
        """The allowed vectors by themselves on the GPU; the last sets stay there."""
        places = selection.places[: np.searchsorted(selection.places, len(self.base))]
        if not 0 < len(places) * self.dim <= _SET_VALUES:
            return None
        kept = self._sets.pop(id(selection), None)  # the selection is kept too, so its id is no other's
        if kept is None:
            kept = (selection, self._put(lambda: self.gpu.flat(self.base[places]), "vectors a filter allows"))
        self._sets[id(selection)] = kept
        if len(self._sets) > _KEPT_SETS:
            self._sets.popitem(last=False)
        return kept[1]

    def _put(self, put: Callable[[], GpuIndex], what: str) -> GpuIndex | None:
        try:
            return put()
        except RuntimeError as error:  # as FAISS reports that memory does not suffice
            size = f"The {self.modality} {what} ({4 * self.base.size / 1e9:.1f} GB in all)"
            if self.must and what == "vectors":
                raise StoreError(
                    f"{size} cannot be put on the GPU: {_first_line(error)}. Search with device auto or cpu, or on a "
                    "GPU with more memory."
                ) from error
            _LOG.warning("%s cannot be put on the GPU (%s); they are searched on the CPU.", size, _first_line(error))
            return None


class _Search:
    """One query on the GPU's index of all vectors."""

    def __init__(self, index: GpuIndex, query: Vectors, k: int, selection: Selection) -> None:
        self._index, self._query, self._k, self._selection = index, query, k, selection
        self.stopped = "On the GPU every vector was compared."

    def run(self) -> Rows | None:
        """Places of the best allowed rows; `None` if there are too few among the most that can be asked for."""
        n_lists = self._index.n_lists
        if not n_lists:
            return self._allowed(0)[0]
        most = min(n_lists, MOST)
        share = max(self._selection.count / len(self._selection.mask), 1e-6)
        probes = min(most, int(np.ceil(max(_FIRST_LISTS, n_lists * _FIRST_SHARE) / share)))
        before = None
        while True:
            places, least = self._allowed(probes)
            if places is None or probes >= most or (before is not None and least == before):
                self.stopped = f"On the GPU {probes:,} of {n_lists:,} lists were compared; more would change nothing."
                return places if least is not None else None
            before, probes = least, min(probes * _GROWTH, most)

    def _allowed(self, probes: int) -> tuple[Rows | None, float | None]:
        """Allowed places among the nearest, best first, and the score of the last hit.

        More are asked for at need. There are no places if too few of the most that can be had are allowed, and no score
        if too few are in the lists.
        """
        mask, count = self._selection.mask, self._selection.count
        enough = min(self._k, count)
        n = _asked(self._k, self._selection)
        while True:
            scores, found = self._index.search(self._query[None], n, probes)
            there = found[0] >= 0
            its = np.flatnonzero(there & mask[found[0]])
            if len(its) >= enough or not there.all():
                least = float(scores[0][its[enough - 1]]) if len(its) >= enough else None
                return found[0][its], least
            if n >= MOST:
                return None, None
            n = min(MOST, n * _GROWTH)


def _asked(k: int, selection: Selection) -> int:
    """Rows to ask for, so that as many as are wanted are allowed if those lie anywhere."""
    return min(MOST, int(np.ceil(1.2 * min(k + _MARGIN, selection.count) * len(selection.mask) / selection.count)))


def on_device(vectors: VectorSet, device: SearchDevice, library: Any = None) -> VectorSet:
    """The same vectors, searched on a GPU where FAISS sees one and they are many.

    Parameters
    ----------
    vectors : VectorSet
        Vectors in memory or mapped into it.
    device : {"auto", "cpu", "cuda"}
        `auto` takes a GPU if there is one with enough memory.
    library : module, optional
        FAISS, or what stands in for it.

    Raises
    ------
    StoreError
        If `cuda` is asked for and FAISS sees no GPU.
    """
    if device == "cpu" or (device == "auto" and vectors.strategy() == "exact"):
        return vectors
    if library is None:
        import faiss as library  # heavy
    if not n_gpus(library):
        if device == "cuda":
            raise StoreError(
                "FAISS sees no GPU. Install `histoseek[gpu]`, which puts faiss-gpu in the place of faiss-cpu, check "
                "`nvidia-smi`, or search with device auto or cpu."
            )
        return vectors
    values = {field.name: getattr(vectors, field.name) for field in fields(VectorSet)}
    return GpuVectorSet(**values, gpu=Gpu(library), must=device == "cuda")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
