"""Vectors that LanceDB searches where they lie: nothing of them is kept in memory.

LanceDB stops once it has found as many rows as are wanted, which a filter may leave far from the query's own lists. So
it is asked again with four times as many lists until that changes nothing, and where its SQL cannot tell the allowed
rows apart, for more rows until enough of them are allowed ones: the best of all hold the best of those.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors
from indexer.errors import StoreError
from indexer.store.lance_index import LanceIndex
from indexer.vectors.columns import RowIds
from indexer.vectors.found import Found
from indexer.vectors.inner_products import dots
from indexer.vectors.probing import Trace
from indexer.vectors.selection import Rows, Selection
from indexer.vectors.table_vector_set import TableVectorSet

_FIRST_LISTS, _FIRST_SHARE = 16, 1 / 32
_GROWTH = 4
_MARGIN = 32


@dataclass(frozen=True)
class LanceVectorSet(TableVectorSet):
    """A `VectorSet` over a table; see there.

    Attributes
    ----------
    row_ids : uint64 (n_items,)
        Row id of each row of the index, ascending.
    index : LanceIndex or None
        What searches; without one every allowed vector is read and compared.
    """

    row_ids: RowIds
    index: LanceIndex | None

    @property
    def list_places(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]] | None:
        """Lists are LanceDB's own business."""
        return None

    def _nearest(self, query: Vectors, k: int, selection: Selection, *, exact: bool) -> Found:
        if k == 0 or exact or self.index is None or self.strategy(selection, k) == "exact":
            return super()._nearest(query, k, selection, exact=True)
        search = _Search(self, self.index, query, k, selection)
        rows, scores = search.run()
        return Found(rows, scores, "ann", search.trace())


class _Search:
    """One query, asked again until nothing changes."""

    def __init__(
        self, vectors: LanceVectorSet, index: LanceIndex, query: Vectors, k: int, selection: Selection
    ) -> None:
        self._vectors, self._index = vectors, index
        self._query, self._k, self._selection = query, k, selection
        share = max(selection.count / max(1, len(vectors.item_of)), 1e-6)
        first = max(_FIRST_LISTS, index.n_lists * _FIRST_SHARE)
        self._probes = min(index.n_lists, int(np.ceil(first / share)))
        self._limit = k + _MARGIN
        self._rounds = self._compared = 0

    def run(self) -> tuple[Rows, Floats]:
        """Rows of the index, best first, ties in row order, and their cosines."""
        before = None
        while True:
            rows, scores, is_all = self._ask()
            if len(rows) < self._k and not is_all:
                self._limit *= _GROWTH
                continue
            least = float(scores[-1]) if len(scores) else None
            if self._probes >= self._index.n_lists or (before is not None and least == before):
                return rows, scores
            before = least
            self._probes = min(self._probes * _GROWTH, self._index.n_lists)

    def _ask(self) -> tuple[Rows, Floats, bool]:
        """The best allowed rows of one answer, and whether it held every row that meets the condition."""
        ids, vectors = self._index.nearest(self._query, self._limit, probes=self._probes, where=self._selection.where)
        self._rounds, self._compared = self._rounds + 1, self._compared + len(ids)
        rows = np.searchsorted(self._vectors.row_ids, ids)
        if len(rows) and not np.array_equal(
            self._vectors.row_ids[np.minimum(rows, len(self._vectors.row_ids) - 1)], ids
        ):
            raise StoreError(
                "LanceDB found rows that this version of the index does not have. Run `histoseek index optimize "
                "--lance-index`, which makes its index again."
            )
        places = self._vectors.places_of(rows)
        kept = np.flatnonzero((places >= 0) & self._selection.mask[places])
        rows, vectors = rows[kept], vectors[kept]
        scores = dots(np.ascontiguousarray(vectors), self._query)  # as every final score
        order = np.lexsort((rows, -scores))[: self._k]
        return rows[order], scores[order], len(ids) < self._limit

    def trace(self) -> Trace:
        """What was looked at."""
        n_lists = self._index.n_lists
        stopped = (
            "Every list was searched." if self._probes >= n_lists else "Four times as many lists had changed nothing."
        )
        return Trace(self._probes, n_lists, 0, self._compared, self._rounds, f"LanceDB's index: {stopped}")
