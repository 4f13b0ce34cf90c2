"""Rows this process committed last, as it had them in hand: an index opened beside the writer reads none of them back.

A fragment of a table is told by its digest, which covers the name of its data file, a random one, so what is remembered
of it is what any other process reads from that file.
"""

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from encoders.contracts import Modality, Vectors
from indexer.schema import ITEM_COLUMNS
from indexer.store.manifests import Fragment, described
from indexer.vectors.columns import RowIds

#: Commits of more are read back; those before are forgotten when more than this is remembered.
REMEMBERED_BYTES = 128 << 20

_MODALITIES: tuple[Modality, ...] = ("image", "expression")
_LOCK = Lock()


class Written(NamedTuple):
    """Rows of one fragment: metadata, and the vectors of each modality with their places among the rows."""

    row_ids: RowIds
    items: pa.Table
    vectors: Mapping[Modality, tuple[Vectors, RowIds]]

    @property
    def n_bytes(self) -> int:
        """Bytes that are held."""
        return int(self.items.nbytes) + sum(vectors.nbytes for vectors, _ in self.vectors.values())


_LAST: dict[str, Written] = {}


def remember(before: bytes, after: bytes, rows: Sequence[pa.Table]) -> None:
    """Keep what was appended between two manifests of `items`, if it is one fragment and small."""
    known = described(before)
    new = {digest: fragment for digest, fragment in described(after).items() if digest not in known}
    if len(new) != 1:
        return
    ((digest, fragment),) = new.items()
    if fragment.row_ids is None or len(fragment.row_ids) != sum(part.num_rows for part in rows):
        return
    row_ids = np.arange(fragment.row_ids.start, fragment.row_ids.stop, dtype=np.uint64)
    items = pa.concat_tables([part.select(list(ITEM_COLUMNS)) for part in rows]).replace_schema_metadata(None)
    written = Written(row_ids, items, {side: _vectors(rows, f"{side}_vector", row_ids) for side in _MODALITIES})
    with _LOCK:
        _LAST[digest] = written
        while sum(one.n_bytes for one in _LAST.values()) > REMEMBERED_BYTES:
            del _LAST[next(iter(_LAST))]


def forget() -> None:
    """Forget all."""
    with _LOCK:
        _LAST.clear()


def recalled(fragments: Mapping[str, Fragment], after: int) -> list[Written] | None:
    """The rows of larger ids than one in their order; `None` if not all of them are remembered."""
    with _LOCK:
        known = dict(_LAST)
    found = []
    for digest, fragment in fragments.items():
        run = fragment.row_ids
        if run is None or run.start <= after < run.stop - 1:
            return None
        if run.start > after:
            if digest not in known:
                return None
            found.append(known[digest])
    return sorted(found, key=lambda written: int(written.row_ids[0]))


def _vectors(rows: Sequence[pa.Table], column: str, row_ids: RowIds) -> tuple[Vectors, RowIds]:
    values, ids, start = [], [], 0
    dim = rows[0].schema.field(column).type.list_size
    for part in rows:
        for chunk in part.column(column).chunks:
            its = row_ids[start : start + len(chunk)]
            start += len(chunk)
            if chunk.null_count < len(chunk):
                values.append(chunk.flatten())  # leaves nulls out
                ids.append(its[np.asarray(chunk.is_valid())] if chunk.null_count else its)
    if not values:
        return np.empty((0, dim), np.float32), row_ids[:0]
    return np.asarray(_joined(values)).reshape(-1, dim), np.concatenate(ids)


def _joined(parts: Sequence[pa.FloatArray]) -> pa.FloatArray:
    """Numbers behind each other; those that lie so in one buffer are not copied."""
    first, at = parts[0], parts[0].offset
    for part in parts:
        if part.buffers()[1].address != first.buffers()[1].address or part.offset != at or part.null_count:
            return pa.concat_arrays(parts)
        at += len(part)
    return pa.Array.from_buffers(first.type, at - first.offset, [None, first.buffers()[1]], offset=first.offset)
