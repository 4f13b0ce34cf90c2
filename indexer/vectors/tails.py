"""Rows that came after a sidecar, as they were read from the table: an index that takes a newer commit reads the newer.

The row id of a row stands for the same values in every version that holds it (`indexer.store.tables`), so what was read
once is right in every later state whose rows begin with the same ids.
"""

from threading import Lock
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from encoders.contracts import Modality, Vectors
from indexer.vectors.columns import RowIds, Rows
from indexer.vectors.sidecar_card import Change, VectorTable

_LEAST_ROOM = 1_024


class _Items(NamedTuple):
    row_ids: RowIds
    table: pa.Table


class _Read(NamedTuple):
    """Vectors of a modality: row ids of all items, places among them, and the first rows of a larger array."""

    row_ids: RowIds
    places: Rows
    room: Vectors

    @property
    def vectors(self) -> Vectors:
        return self.room[: len(self.places)]


class Tails:
    """What was read last, handed on from one opening of an index to the next."""

    def __init__(self) -> None:
        self._items: _Items | None = None
        self._read: dict[Modality, _Read] = {}
        self._lock = Lock()

    def items(self, change: Change, table: VectorTable) -> pa.Table:
        """Metadata of the rows that came after."""
        with self._lock:
            known = self._items
            n = 0 if known is None else _n_same(known.row_ids, change.tail)
            parts = [known.table] if known is not None and n else []
            if n < len(change.tail):
                parts.append(table.items(change.tail[n:])[0])
            self._items = _Items(change.tail, pa.concat_tables(parts))
            return self._items.table

    def vectors(self, modality: Modality, change: Change, table: VectorTable) -> tuple[Rows, Vectors]:
        """Vectors of the rows that came after: places among them, int64 `(m,)`, and float32 `(m, dim)`."""
        with self._lock:
            known = self._read.get(modality)
            n = 0 if known is None else _n_same(known.row_ids, change.tail)
            if known is None or not n:
                known = _Read(change.tail[:0], np.empty(0, np.int64), np.empty((0, table.dim), np.float32))
            if n < len(change.tail):
                after = int(change.tail[n]) - 1 if n or change.tail[0] else None
                places, vectors = read_vectors(table, modality, after, change.tail[n:])
                known = _joined(known, change.tail, n + places, vectors)
                self._read[modality] = known
            return known.places, known.vectors


def read_vectors(table: VectorTable, modality: Modality, after: int | None, row_ids: RowIds) -> tuple[Rows, Vectors]:
    """Read vectors of a modality into memory: their places among some row ids, int64 `(m,)`, and float32 `(m, dim)`."""
    batches = list(table.vectors(modality, after))
    if not batches:
        return np.empty(0, np.int64), np.empty((0, table.dim), np.float32)
    vectors, ids = batches[0] if len(batches) == 1 else (np.concatenate(parts) for parts in zip(*batches, strict=True))
    rows = np.searchsorted(row_ids, ids)
    if len(rows) and not (rows[1:] > rows[:-1]).all():  # Lance scans in order as a rule
        order = np.argsort(rows)
        rows, vectors = rows[order], vectors[order]
    return rows, vectors


def _n_same(known: RowIds, now: RowIds) -> int:
    """Rows at the beginning that were read before: all of those known, or none."""
    return len(known) if len(known) <= len(now) and np.array_equal(known, now[: len(known)]) else 0


def _joined(known: _Read, row_ids: RowIds, places: Rows, vectors: Vectors) -> _Read:
    """With more rows behind. They are written behind those that earlier states see, which stay as they are."""
    n_before, n_now = len(known.places), len(known.places) + len(vectors)
    if not n_before:
        return _Read(row_ids, places, vectors)
    room = known.room
    if n_now > len(room):
        room = np.empty((max(_LEAST_ROOM, 2 * n_now), vectors.shape[1]), dtype=np.float32)
        room[:n_before] = known.vectors
    room[n_before:n_now] = vectors
    return _Read(row_ids, np.concatenate([known.places, places]), room)
