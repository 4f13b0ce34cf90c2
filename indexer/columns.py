"""The metadata of all items beside the vectors: one Arrow file to map into memory, text as dictionary codes."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from indexer.schema import ITEM_COLUMNS, ITEM_METADATA

COLUMNS_FILE, ROW_IDS_FILE = "items.arrow", "row_ids.npy"
_FEW = 256
RowIds = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ItemColumns:
    """Metadata and row ids of the items of one committed state, in the order they were committed.

    Attributes
    ----------
    table : pyarrow.Table
        `ITEM_COLUMNS`; text is dictionary-encoded but for the ids, which are all different.
    row_ids : uint64 (n_items,)
        LanceDB's row ids, ascending.
    """

    table: pa.Table
    row_ids: RowIds

    def __len__(self) -> int:
        return len(self.row_ids)

    @classmethod
    def of_table(cls, table: pa.Table, row_ids: RowIds) -> "ItemColumns":
        """Encode the columns of a table."""
        return cls(encoded(table), row_ids)

    @classmethod
    def load(cls, folder: Path) -> "ItemColumns":
        """Map the files into memory; raises `OSError` or `ValueError` if they are damaged."""
        row_ids = np.load(folder / ROW_IDS_FILE)
        try:
            with pa.memory_map(str(folder / COLUMNS_FILE)) as source:
                table = pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid as error:
            raise ValueError(f"{COLUMNS_FILE} is damaged: {error}") from error
        if table.num_rows != len(row_ids) or tuple(table.column_names) != ITEM_COLUMNS:
            raise ValueError(f"{COLUMNS_FILE} holds {table.num_rows:,} rows, expected {len(row_ids):,}")
        return cls(table, row_ids)

    def save(self, folder: Path) -> None:
        """Write both files."""
        np.save(folder / ROW_IDS_FILE, self.row_ids)
        table = self.table.combine_chunks()
        with pa.OSFile(str(folder / COLUMNS_FILE), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)

    def changed(self, alive: Mask | None, tail: pa.Table, tail_ids: RowIds) -> "ItemColumns":
        """Without the items that are gone and with those that came after, which lie behind."""
        kept, ids = self.table, self.row_ids
        if alive is not None:
            kept, ids = kept.filter(pa.array(alive)), ids[alive]
        if not len(tail_ids):
            return ItemColumns(kept, ids)
        joined = pa.concat_tables([kept, encoded(tail)]).unify_dictionaries().combine_chunks()
        return ItemColumns(joined, np.concatenate([ids, tail_ids]))

    def array(self, name: str) -> pa.Array:
        """One column as one array."""
        column = self.table.column(name)
        if column.num_chunks == 1:
            return column.chunk(0)
        joined = column.unify_dictionaries().combine_chunks() if column.num_chunks else pa.array([], column.type)
        return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined

    def codes(self, name: str) -> tuple[npt.NDArray[np.int32], list[str | None]]:
        """Dictionary codes of a text column, -1 for null, int32 `(n_items,)`, and the values they stand for."""
        array = self.array(name)
        return np.asarray(array.indices.fill_null(-1)), array.dictionary.to_pylist()

    @cached_property
    def batch(self) -> pa.RecordBatch:
        """All columns as one batch, from which rows are taken quickest."""
        return pa.RecordBatch.from_arrays([self.array(name) for name in ITEM_COLUMNS], names=list(ITEM_COLUMNS))

    def take(self, rows: Rows) -> dict[str, pa.Array]:
        """Columns of some rows, plain."""
        found = self.batch.take(pa.array(rows))
        if len(rows) > _FEW:
            return {name: _plain(found.column(i)) for i, name in enumerate(ITEM_COLUMNS)}
        columns = {}
        for i, name in enumerate(ITEM_COLUMNS):
            column = found.column(i)
            if name in self._texts:  # for some rows, Python looks texts up quicker than Arrow decodes them
                texts = self._texts[name]
                column = pa.array([None if code is None else texts[code] for code in column.indices.to_pylist()])
                columns[name] = column.cast(pa.string()) if column.null_count == len(column) else column
            else:
                columns[name] = _plain(column)
        return columns

    @cached_property
    def _texts(self) -> dict[str, list[str]]:
        arrays = {name: self.array(name) for name in ITEM_COLUMNS}
        return {name: a.dictionary.to_pylist() for name, a in arrays.items() if pa.types.is_dictionary(a.type)}

    def plain(self) -> pa.Table:
        """The whole table with plain columns, `ITEM_METADATA`."""
        schema = pa.schema(ITEM_METADATA)
        return pa.table([self.table.column(field.name).cast(field.type) for field in schema], schema=schema)


def encoded(table: pa.Table) -> pa.Table:
    """The same with text as dictionaries, each one chunk."""
    columns: list[Any] = []
    for field in ITEM_METADATA:
        column = table.column(field.name)
        if field.name == "id":
            column = column.cast(pa.large_string())
        elif pa.types.is_string(field.type):
            column = column.dictionary_encode()
        columns.append(column)
    return pa.table(columns, names=list(ITEM_COLUMNS)).unify_dictionaries().combine_chunks()


def _plain(array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        return array.dictionary_decode()
    return array.cast(pa.string()) if pa.types.is_large_string(array.type) else array
