"""The vectors of one modality of an index, and the nearest of them to a query."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Modality, Vectors
from indexer.errors import StoreError
from indexer.vectors.ann import AnnIndex, is_small
from indexer.vectors.batching import search_many, top
from indexer.vectors.evidence import Evidence, Radii, measure, radii_of
from indexer.vectors.found import Found, Neighbours, Strategy
from indexer.vectors.full_scan import FullScan
from indexer.vectors.inner_products import dots, dots_at
from indexer.vectors.mapping import populate
from indexer.vectors.probing import Prober, Trace
from indexer.vectors.products import nearest_of_all
from indexer.vectors.selection import Mask, Rows, Selection

_LOG = logging.getLogger(__name__)
#: More hits than this are found by comparing every allowed row.
_MANY = 2_000
_SCATTERED = 8
#: So many exact queries are answered one after the other as soon as by products with every row.
_FEW_QUERIES = 24
_CHUNK_ROWS = 32_768
_SORTED_AT_ONCE = 64
_NO_ROWS: Rows = np.empty(0, dtype=np.int64)
_NO_SCORES: Floats = np.empty(0, dtype=np.float32)


@dataclass(frozen=True)
class VectorSet:
    """Unit vectors of the items that have one in a modality; a place is a row of `base`, then of `tail`.

    Attributes
    ----------
    modality : {"image", "expression"}
        What the vectors were computed from.
    item_of : int64 (n_places,)
        Row of the index that each place belongs to, ascending; -1 for one that is no longer there.
    base : float32 (n_base, dim)
        Unit rows; a read-only memory map where they come from the sidecar.
    n_items : int
        Rows of the index, with or without a vector here.
    open_ann : callable
        Gives the lists over `base`, and what was measured on them; called once, when first searched.
    tail : float32 (m, dim)
        Unit rows newer than `base`, compared one by one.
    """

    modality: Modality
    item_of: Rows
    base: Vectors
    n_items: int
    open_ann: Callable[[], tuple[AnnIndex, Evidence | None]]
    tail: Vectors

    @classmethod
    def over(cls, modality: Modality, rows: Rows, vectors: Vectors, n_items: int) -> "VectorSet":
        """Vectors in memory, with lists that are made when first searched."""

        def build() -> tuple[AnnIndex, Evidence | None]:
            ann = AnnIndex.build(vectors)
            return ann, None if ann.kind == "flat" else measure(vectors, ann)

        return cls(modality, rows, vectors, n_items, build, vectors[:0])

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        """Dimension of the vectors."""
        return int(self.base.shape[1])

    @cached_property
    def rows(self) -> Rows:
        """Row of the index of each vector that is there, ascending, int64."""
        return self.item_of if self._everyone.is_all else self.item_of[self.item_of >= 0]

    @cached_property
    def vectors(self) -> Vectors:
        """Vectors of `rows`, float32 `(n, dim)`; those of `base` where nothing has changed since, else a copy."""
        if not len(self.tail) and self._everyone.is_all:
            return self.base
        return np.concatenate([self.base, self.tail])[self.item_of >= 0]

    @cached_property
    def place_of(self) -> npt.NDArray[np.int32]:
        """Place of each row of the index, int32 `(n_items,)`, -1 where it has no vector."""
        places = np.full(self.n_items, -1, dtype=np.int32)
        there = self._everyone.places
        places[self.item_of[there]] = there
        return places

    @cached_property
    def has_vector(self) -> Mask:
        """Which rows of the index have a vector, bool `(n_items,)`."""
        if self._is_identity:
            return self._everyone.mask
        there = np.zeros(self.n_items, dtype=np.bool_)
        there[self.rows] = True
        return there

    def places_of(self, rows: Rows) -> Rows:
        """Places of some rows of the index, int64, -1 where they have no vector."""
        return rows if self._is_identity else self.place_of[rows].astype(np.int64)

    @cached_property
    def ann(self) -> AnnIndex:
        """Lists over `base`; `tail` is compared exactly."""
        return self._opened[0]

    @property
    def evidence(self) -> Evidence | None:
        """When a search over the lists may stop; `None` where there are no lists."""
        return self._opened[1]

    @property
    def list_places(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]] | None:
        """List of each row of `base`, and the sizes of the lists; `None` where there are none."""
        return None if self.ann.kind == "flat" else (self.ann.lists.list_of, self.ann.lists.sizes)

    def use(self, evidence: Evidence) -> None:
        """Search with other bounds from now on."""
        ann = self.ann
        for name, value in (("_opened", (ann, evidence)), ("_prober", None), ("_full_scan", None)):
            self.__dict__.pop(name, None)
            if value is not None:
                self.__dict__[name] = value

    def vector_of(self, row: int) -> Vectors:
        """Vector of a row of the index, float32 `(dim,)`; raises `StoreError` if it has none."""
        place = int(self.places_of(np.array([row]))[0])
        if place < 0:
            raise StoreError(f"Row {row} has no {self.modality} vector.")
        return np.asarray(self._at(np.array([place]))[0], dtype=np.float32)

    def select(self, allowed: Mask, where: str | None = None) -> Selection:
        """Places of some items.

        Parameters
        ----------
        allowed : bool (n_items,)
            Items that may answer.
        where : str, optional
            SQL condition that allows all of them; see `Selection`.

        Raises
        ------
        StoreError
            If the mask does not fit this index.
        """
        if allowed.dtype != np.bool_ or allowed.shape != (self.n_items,):
            raise StoreError(
                f"The mask of allowed items is {allowed.dtype} {allowed.shape}; expected bool ({self.n_items},), "
                "one value for each row of the index."
            )
        if self._is_identity:
            return Selection(allowed, where)
        return Selection(allowed[self.item_of] & self._everyone.mask, where)

    def scores(self, query: Vectors) -> Floats:
        """Cosine of one unit query `(dim,)` with every vector, float32 `(n,)` in the order of `rows`."""
        vector = self._check(query)[0]
        out = np.empty(len(self), dtype=np.float32)
        places, step = self._everyone.places, _CHUNK_ROWS
        in_place = self._everyone.is_all and not len(self.tail)  # then rows are read where they lie, not gathered
        for start in range(0, len(places), step):
            part = slice(start, start + step)
            out[part] = dots(self.base[part] if in_place else self._at(places[part]), vector)
        return out

    def strategy(self, allowed: Mask | Selection | None = None, k: int = 1) -> Strategy:
        """How `search` would answer: `ann` only if too many vectors may answer to compare them one by one."""
        selection = self._selection(allowed)
        count, n = selection.count, len(self.base)
        # Rows here and there are read at a tenth of the speed of rows in a row.
        if is_small(n, self.dim) or is_small(_SCATTERED * count, self.dim):
            return "exact"
        return "exact" if k > min(_MANY, count // 4) else "ann"

    def search(
        self,
        queries: Vectors,
        k: int,
        allowed: Mask | Selection | None = None,
        *,
        exact: bool = False,
        without: Sequence[Rows] | None = None,
    ) -> Neighbours:
        """Find the items nearest to each query.

        Parameters
        ----------
        queries : float32 (q, dim) or (dim,)
            Unit vectors.
        k : int
            Neighbours wanted; all there are if fewer may answer.
        allowed : bool (n_items,) or Selection, optional
            Items that may answer.
        exact : bool
            As in `nearest`.
        without : sequence of int64 (m,), optional
            Rows of the index that may not answer each query, each once; where they leave fewer than the others have,
            the last rows are -1 and their scores -inf.

        Raises
        ------
        StoreError
            If the queries or the mask do not fit this index.
        """
        batch = self._check(queries)
        selection = self._selection(allowed)
        width = max(0, min(k, selection.count))
        gone = None if without is None else [self._places_there(rows) for rows in without]
        if width == 0:
            return Neighbours(np.empty((len(batch), 0), np.int64), np.empty((len(batch), 0), np.float32))
        return self._nearest_many(batch, width, selection, gone, exact=exact)

    def nearest(self, query: Vectors, k: int, allowed: Mask | Selection | None = None, *, exact: bool = False) -> Found:
        """As `search` for one query `(dim,)`, with how it went; `exact` leaves none out that could be a hit."""
        selection = self._selection(allowed)
        return self._nearest(self._check(query)[0], max(0, min(k, selection.count)), selection, exact=exact)

    def _nearest(self, query: Vectors, k: int, selection: Selection, *, exact: bool) -> Found:
        if k == 0:
            return Found(np.empty(0, np.int64), np.empty(0, np.float32), "exact", Trace(0, 0, 0, 0, 0, "None allowed."))
        usual = self.strategy(selection, k)
        strategy: Strategy = "exact" if exact else usual
        found = None
        n_base = len(self.base)
        late, late_scores = _NO_ROWS, _NO_SCORES
        if len(self.tail):
            late = selection.after(n_base)
            late_scores = dots_at(self.tail, query, late - n_base)
        if usual == "ann" and self.evidence is not None:
            head = selection.head(n_base)
            if strategy == "ann":
                found = self._prober.search(query, k, head, _kth(late_scores, k) if len(late) else -np.inf)
            else:
                found = self._full_search(query, k, head)
        if found is None:
            places, scores = self._all(query, selection)
            trace = Trace(0, 0, selection.count, selection.count, 0, "Every allowed vector was compared.")
            strategy = "exact"
        else:
            places, scores, trace = found
            if len(late):
                places, scores = np.concatenate([places, late]), np.concatenate([scores, late_scores])
        best, its = _best(places, scores, k)
        return Found(best if self._is_identity else self.item_of[best], its, strategy, trace)

    def _full_search(self, query: Vectors, k: int, selection: Selection) -> tuple[Rows, Floats, Trace] | None:
        return None if self._full_scan is None else self._full_scan.search(query, k, selection)

    def _nearest_many(
        self, queries: Vectors, k: int, selection: Selection, gone: Sequence[Rows] | None, *, exact: bool
    ) -> Neighbours:
        is_ann = self.strategy(selection, k) == "ann" and self.evidence is not None
        few = is_ann and exact and len(queries) < _FEW_QUERIES and self._full_scan is not None
        if len(queries) == 1 or k > _MANY or few:
            return self._one_by_one(queries, k, selection, gone, exact=exact)
        n_base = len(self.base)
        head, late = selection.head(n_base), selection.after(n_base)
        early, least = None if gone is None else [its[: np.searchsorted(its, n_base)] for its in gone], None
        if is_ann:
            places, scores = search_many(self._prober, queries, k, head, early)
            least = scores[:, -1]
        if exact or not is_ann:
            some = None if head.is_all else head.places
            places, scores = nearest_of_all(self.base, queries, k, places=some, gone=early, least=least)
        if len(late):
            later = None if gone is None else [its[np.searchsorted(its, n_base) :] - n_base for its in gone]
            more, their = nearest_of_all(self.tail, queries, k, places=late - n_base, gone=later)
            more = np.where(more >= 0, more + n_base, -1)
            places, scores = top(np.hstack([places, more]), np.hstack([scores, their]), k)
        return Neighbours(np.where(places >= 0, self.item_of[places], -1), scores)

    def _one_by_one(
        self, queries: Vectors, k: int, selection: Selection, gone: Sequence[Rows] | None, *, exact: bool
    ) -> Neighbours:
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        for i, query in enumerate(queries):
            its = selection if gone is None else selection.without(gone[i], self.list_places)
            found = self._nearest(query, min(k, its.count), its, exact=exact)
            rows[i, : len(found.rows)], scores[i, : len(found.rows)] = found.rows, found.scores
        return Neighbours(rows, scores)

    def _places_there(self, rows: Rows) -> Rows:
        places = np.sort(self.places_of(rows))
        return places[np.searchsorted(places, 0) :]

    def _all(self, query: Vectors, selection: Selection) -> tuple[Rows, Floats]:
        n_base, places = len(self.base), selection.places
        if 2 * selection.count > selection.size:  # most are compared, so all are read in the order they lie
            scores = np.concatenate([dots(self.base, query), dots(self.tail, query)])
            return places, scores if selection.is_all else scores[places]
        late = selection.after(n_base)
        early = places[: len(places) - len(late)]
        return places, np.concatenate([dots_at(self.base, query, early), dots_at(self.tail, query, late - n_base)])

    def _at(self, places: Rows) -> Vectors:
        n_base = len(self.base)
        if not len(self.tail):
            return self.base[places]
        out = np.empty((len(places), self.dim), dtype=np.float32)
        early = places < n_base
        out[early], out[~early] = self.base[places[early]], self.tail[places[~early] - n_base]
        return out

    def _selection(self, allowed: Mask | Selection | None) -> Selection:
        if allowed is None:
            return self._everyone
        return allowed if isinstance(allowed, Selection) else self.select(allowed)

    @cached_property
    def _everyone(self) -> Selection:
        return Selection(self.item_of >= 0)

    @cached_property
    def _is_identity(self) -> bool:
        n = len(self.item_of)
        return n == self.n_items and self._everyone.is_all

    @cached_property
    def _opened(self) -> tuple[AnnIndex, Evidence | None]:
        return self.open_ann()

    @cached_property
    def _radii(self) -> Radii:
        return radii_of(self.ann.lists)

    @cached_property
    def _prober(self) -> Prober:
        if self.evidence is None:
            raise StoreError(f"The {self.modality} vectors have no lists to search.")
        populate(self.base)
        return Prober(self.ann, self.base, self.evidence, self._radii)

    @cached_property
    def _full_scan(self) -> FullScan | None:
        try:
            return FullScan(self._prober)
        except ValueError as error:
            _LOG.debug("Every vector is compared where all are to be: %s", error)
            return None

    def _check(self, queries: Vectors) -> Vectors:
        if (
            queries.ndim == 1
            and queries.dtype == np.float32
            and len(queries) == self.dim
            and queries.flags.c_contiguous
        ):
            return queries[None]
        batch = np.ascontiguousarray(np.atleast_2d(np.asarray(queries, dtype=np.float32)))
        if batch.ndim != 2 or batch.shape[1] != self.dim:
            raise StoreError(
                f"Queries have shape {np.shape(queries)}; expected (q, {self.dim}), the dim of the index's space."
            )
        return batch


def _kth(scores: Floats, k: int) -> float:
    """The `k`-th highest score: no row below it is a hit."""
    return float(np.partition(scores, len(scores) - k)[len(scores) - k]) if len(scores) >= k else -np.inf


def _best(places: Rows, scores: Floats, k: int) -> tuple[Rows, Floats]:
    """The best `k`, ties in the order of the places."""
    if _SORTED_AT_ONCE < len(places) > k:
        worst = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = np.flatnonzero(scores >= worst)
        places, scores = places[kept], scores[kept]
    order = np.lexsort((places, -scores))[:k]
    return places[order], scores[order]
