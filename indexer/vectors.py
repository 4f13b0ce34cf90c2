"""The vectors of one modality of an index, and the nearest of them to a query."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Modality, Vectors
from indexer.ann import AnnIndex, is_small
from indexer.errors import StoreError

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_CHUNK_ROWS = 32_768
#: FAISS keeps hits in a heap, which is slower than a sort from about here on.
_MANY = 1_000


class Neighbours(NamedTuple):
    """Nearest items of each query, best first, ties in row order.

    Attributes
    ----------
    rows : int64 (q, k)
        Rows of the index.
    scores : float32 (q, k)
        Cosines, descending.
    """

    rows: Rows
    scores: Floats


@dataclass(frozen=True)
class VectorSet:
    """Unit vectors of the items that have one in a modality.

    Attributes
    ----------
    modality : {"image", "expression"}
        What the vectors were computed from.
    rows : int64 (n,)
        Row of the index that each vector belongs to, ascending.
    vectors : float32 (n, dim)
        Unit rows; a read-only memory map where they come from the sidecar.
    n_items : int
        Rows of the index, with or without a vector here.
    open_ann : callable
        Gives the FAISS index over the first rows of `vectors`; called once, when first searched.
    """

    modality: Modality
    rows: Rows
    vectors: Vectors
    n_items: int
    open_ann: Callable[[], AnnIndex]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def ann(self) -> AnnIndex:
        """FAISS index over the first `ann.n_rows` vectors; later ones are compared exactly."""
        return self.open_ann()

    def scores(self, query: Vectors) -> Floats:
        """Cosine of one unit query `(dim,)` with every vector, float32 `(n,)` in the order of `rows`."""
        vector = self._check(query)[0]
        out = np.empty(len(self), dtype=np.float32)
        for start in range(0, len(self), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            out[part] = _dots(self.vectors[part], vector)
        return out

    def strategy(self, allowed: Mask | None = None) -> Literal["exact", "ann"]:
        """How `search` would answer: `ann` only if too many vectors may answer to compare them one by one."""
        n_allowed = len(self) if allowed is None else int(self._mask(allowed).sum())
        return "exact" if is_small(n_allowed, self.vectors.shape[1]) else "ann"

    def search(self, queries: Vectors, k: int, allowed: Mask | None = None) -> Neighbours:
        """Find the items nearest to each query.

        The FAISS index proposes and full-precision vectors decide; rows newer than it are compared exactly and merged.
        A filter that leaves few (`indexer.ann.is_small`) is answered without the index, exactly.

        Parameters
        ----------
        queries : float32 (q, dim) or (dim,)
            Unit vectors.
        k : int
            Neighbours wanted; all there are if fewer may answer.
        allowed : bool (n_items,), optional
            Items that may answer.

        Raises
        ------
        StoreError
            If the queries or the mask do not fit this index.
        """
        batch = self._check(queries)
        mask = np.ones(len(self), dtype=np.bool_) if allowed is None else self._mask(allowed)
        everyone = np.flatnonzero(mask)
        width = max(0, min(k, len(everyone)))
        rows = np.empty((len(batch), width), dtype=np.int64)
        scores = np.empty((len(batch), width), dtype=np.float32)
        if width == 0:
            return Neighbours(rows, scores)
        few = is_small(len(everyone), self.vectors.shape[1])
        all_by_hand = few and (len(everyone) < len(self) or width > _MANY)
        proposed = None if all_by_hand else self._propose(batch, width, mask, everyone)
        for i, query in enumerate(batch):
            places = everyone if proposed is None else proposed[i][proposed[i] >= 0]
            if len(places) < width:  # a filter left the probed lists too thin
                places = everyone
            best, scores[i] = self._best(query, places, width)
            rows[i] = self.rows[best]
        return Neighbours(rows, scores)

    def _propose(self, batch: Vectors, k: int, mask: Mask, everyone: Rows) -> Rows:
        n_ann = self.ann.n_rows
        positions = self.ann.candidates(batch, k, None if mask.all() else mask[:n_ann])
        tail = everyone[everyone >= n_ann]
        return np.hstack([positions, np.broadcast_to(tail, (len(batch), len(tail)))])

    def _best(self, query: Vectors, places: Rows, k: int) -> tuple[Rows, Floats]:
        values = np.empty(len(places), dtype=np.float32)
        for start in range(0, len(places), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            values[part] = _dots(self.vectors[places[part]], query)
        if k < len(places):  # sorting all of them would take longer than comparing them
            worst = np.partition(values, len(values) - k)[len(values) - k]
            places, values = places[values >= worst], values[values >= worst]
        order = np.lexsort((places, -values))[:k]
        return places[order], values[order]

    def _mask(self, allowed: Mask) -> Mask:
        if allowed.dtype != np.bool_ or allowed.shape != (self.n_items,):
            raise StoreError(
                f"The mask of allowed items is {allowed.dtype} {allowed.shape}; expected bool ({self.n_items},), "
                "one value for each row of the index."
            )
        return np.asarray(allowed[self.rows], dtype=np.bool_)

    def _check(self, queries: Vectors) -> Vectors:
        batch = np.atleast_2d(np.asarray(queries, dtype=np.float32))
        if batch.ndim != 2 or batch.shape[1] != self.vectors.shape[1]:
            raise StoreError(
                f"Queries have shape {np.shape(queries)}; expected (q, {self.vectors.shape[1]}), the dim of the "
                "index's space."
            )
        return batch


def _dots(vectors: Vectors, query: Vectors) -> Floats:
    # einsum sums each row in the same order however many stand beside it, so a score does not depend on the filter.
    cosines: Floats = np.einsum("ij,j->i", vectors, query, optimize=False)
    return cosines
