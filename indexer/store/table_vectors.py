"""Vectors that stay in the table: read from LanceDB a few at a time, or as a stream, and never kept.

For an index whose vectors are larger than memory, or lie in a bucket: an object that stands where a matrix stands.
"""

from collections.abc import Callable
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Modality, Vectors
from indexer.store.tables import Store
from indexer.vectors.columns import RowIds
from indexer.vectors.inner_products import dots

Rows = npt.NDArray[np.int64]
_TAKEN_ROWS = 8_192
#: A stream of all rows is as quick as taking one in so many of them one by one.
_STREAMED_SHARE = 1 / 16


class TableVectors:
    """Rows of a matrix float32 `(n, dim)`, each named by the row id it has in the table.

    Parameters
    ----------
    store : callable
        Gives the tables; called when first read.
    modality : {"image", "expression"}
        Column of the table.
    row_ids : uint64 (n,)
        Row id of each row, ascending.
    dim : int
        Dimension.
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(self, store: Callable[[], Store], modality: Modality, row_ids: RowIds, dim: int) -> None:
        self._store = store
        self._column = f"{modality}_vector"
        self._row_ids = row_ids
        self.shape = (len(row_ids), dim)

    def __len__(self) -> int:
        return self.shape[0]

    @overload
    def __getitem__(self, places: slice) -> Vectors: ...
    @overload
    def __getitem__(self, places: Rows) -> Vectors: ...
    @overload
    def __getitem__(self, places: int) -> Vectors: ...
    def __getitem__(self, places: Any) -> Vectors:
        """Vectors at some places, float32 `(len(places), dim)`, or `(dim,)` of one; raises `IndexFormatError`."""
        if isinstance(places, (int, np.integer)):
            return np.asarray(self[np.array([places])][0], dtype=np.float32)
        ids = self._row_ids[places]
        out = np.empty((len(ids), self.shape[1]), dtype=np.float32)
        for start in range(0, len(ids), _TAKEN_ROWS):
            part = ids[start : start + _TAKEN_ROWS]
            column = self._store().take("items", part, [self._column]).column(0).combine_chunks()
            out[start : start + len(part)] = np.asarray(column.flatten()).reshape(len(part), -1)
        return out

    def __array__(self, dtype: Any = None, copy: Any = None) -> npt.NDArray[Any]:
        """All of them, in memory: for checks, not for searches; always a copy."""
        return np.asarray(self[:], dtype=dtype)

    def dots(self, query: Vectors, places: Rows | None = None) -> Floats:
        """Inner product of a query `(dim,)` with all rows, or with those at some ascending places, float32."""
        if places is not None and len(places) < _STREAMED_SHARE * len(self):
            starts = range(0, len(places), _TAKEN_ROWS)
            parts = [dots(self[places[start : start + _TAKEN_ROWS]], query) for start in starts]
            return np.concatenate([np.empty(0, np.float32), *parts])
        found = np.full(len(self), -np.inf, dtype=np.float32)
        for vectors, ids in self._store().stream("items", self._column):
            at = np.searchsorted(self._row_ids, ids)
            known = np.flatnonzero(self._row_ids[np.minimum(at, len(self) - 1)] == ids)
            found[at[known]] = dots(np.ascontiguousarray(vectors[known]), query)
        return found if places is None else found[places]
