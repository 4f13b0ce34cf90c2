"""The metadata of all items beside the vectors: one Arrow file to map into memory, text as dictionary codes."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from indexer.schema import ITEM_COLUMNS, ITEM_METADATA, SHARED_FACTS

COLUMNS_FILE, ROW_IDS_FILE = "items.arrow", "row_ids.npy"
#: Up to so many rows are taken value by value.
_NPY_HEAD = 128
FEW_ROWS = 256
_COMPARED_CODES = 8
RowIds = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_Taker = Callable[[Rows], list[Any]]
#: What the items of a slide repeat, its name first; and of how many slides it is kept.
_FACTS = tuple(field.name for field in SHARED_FACTS)
_OWN = tuple(name for name in ITEM_COLUMNS if name not in _FACTS)
_KEPT_SLIDES = 2**16


@dataclass(frozen=True)
class ItemColumns:
    """Metadata and row ids of the items of one committed state, in the order they were committed.

    Attributes
    ----------
    table : pyarrow.Table
        `ITEM_COLUMNS`; text is dictionary-encoded but for the ids, which are all different.
    known_ids : uint64 (n,)
        LanceDB's row ids, ascending.
    later_ids : uint64 (n_items - n,), optional
        Those of the items that came after, all larger.
    """

    table: pa.Table
    known_ids: RowIds
    later_ids: RowIds | None = None

    def __len__(self) -> int:
        return len(self.known_ids) + (0 if self.later_ids is None else len(self.later_ids))

    @cached_property
    def row_ids(self) -> RowIds:
        """LanceDB's row ids of all items, ascending, uint64 `(n_items,)`."""
        # They are joined when asked for: searches ask for none.
        return self.known_ids if self.later_ids is None else np.concatenate([self.known_ids, self.later_ids])

    @classmethod
    def of_table(cls, table: pa.Table, row_ids: RowIds) -> "ItemColumns":
        """Encode the columns of a table."""
        return cls(encoded(table), row_ids)

    @classmethod
    def load(cls, folder: Path) -> "ItemColumns":
        """Map the files into memory; raises `OSError` or `ValueError` if they are damaged."""
        row_ids = load_row_ids(folder)
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
        # Columns are joined one by one, as they are asked for, and the values of a hit are found where they lie.
        return ItemColumns(pa.concat_tables([kept, encoded(tail)]), ids, tail_ids)

    def array(self, name: str) -> pa.Array:
        """One column as one array."""
        found = self._arrays.get(name)
        if found is None:
            found = self._arrays[name] = _joined(self.table.column(name))
        return found

    @cached_property
    def _arrays(self) -> dict[str, pa.Array]:
        return {}

    def codes(self, name: str) -> tuple[npt.NDArray[np.int32], list[str | None]]:
        """Dictionary codes of a text column, -1 for null, int32 `(n_items,)`, and the values they stand for."""
        array = self.array(name)
        return _codes(array), array.dictionary.to_pylist()

    def is_one_of(self, name: str, values: Collection[str]) -> Mask:
        """Which items have one of some values in a text column, bool `(n_items,)`."""
        wanted = frozenset(values)
        found = [_is_one_of(chunk, wanted) for chunk in self.table.column(name).chunks]  # not joined for this
        return found[0] if len(found) == 1 else np.concatenate([np.empty(0, dtype=np.bool_), *found])

    @cached_property
    def batch(self) -> pa.RecordBatch:
        """All columns as one batch, from which rows are taken quickest."""
        return pa.RecordBatch.from_arrays([self.array(name) for name in ITEM_COLUMNS], names=list(ITEM_COLUMNS))

    def values(self, rows: Rows) -> dict[str, list[Any]]:
        """Columns of some rows as plain Python values, `None` where there are none: for a few rows, quickest so."""
        takers = self._takers
        # Rows lie far apart, so each value read is one more wait for memory; what a slide repeats is read once.
        known = self._facts_of
        facts = []
        for slide, row in zip(takers["slide"](rows), rows.tolist(), strict=True):
            its = known.get(slide)
            if its is None:
                its = known[slide] = tuple(takers[name](np.array([row]))[0] for name in _FACTS)
            facts.append(its)
        if len(known) > _KEPT_SLIDES:
            known.clear()
        repeated = zip(*facts, strict=True) if facts else ((),) * len(_FACTS)
        found: dict[str, list[Any]] = dict(zip(_FACTS, map(list, repeated), strict=True))
        found |= {name: takers[name](rows) for name in _OWN}
        return {name: found[name] for name in ITEM_COLUMNS}

    def values_of(self, name: str, rows: Rows) -> list[Any]:
        """The same of one column."""
        return self._takers[name](rows)

    def take(self, rows: Rows) -> dict[str, pa.Array]:
        """Columns of some rows, plain."""
        if len(rows) > FEW_ROWS:
            found = self.batch.take(pa.array(rows))
            return {name: _plain(found.column(i)) for i, name in enumerate(ITEM_COLUMNS)}
        values = self.values(rows)
        return {field.name: pa.array(values[field.name], field.type) for field in ITEM_METADATA}

    @cached_property
    def _facts_of(self) -> dict[str, tuple[Any, ...]]:
        return {}

    @cached_property
    def _takers(self) -> dict[str, _Taker]:
        return {field.name: _taker_of_chunks(self.table.column(field.name)) for field in ITEM_METADATA}

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


def load_row_ids(folder: Path) -> RowIds:
    """Map the row ids of a sidecar into memory; raises `OSError` or `ValueError` if the file is damaged."""
    path = folder / ROW_IDS_FILE
    is_empty = path.stat().st_size <= _NPY_HEAD  # the system maps no empty array
    found: RowIds = np.load(path, mmap_mode=None if is_empty else "r")
    return found


def _is_one_of(array: pa.DictionaryArray, values: frozenset[str]) -> Mask:
    codes = _codes(array)
    wanted = [code for code, value in enumerate(array.dictionary.to_pylist()) if value in values]
    if len(wanted) > _COMPARED_CODES:
        is_wanted = np.zeros(len(array.dictionary) + 1, dtype=np.bool_)
        is_wanted[wanted] = True
        return np.asarray(is_wanted[codes])
    found = np.zeros(len(codes), dtype=np.bool_)
    for code in wanted:  # a comparison of all takes a tenth of looking each up
        found |= codes == code
    return found


def _codes(array: pa.DictionaryArray) -> npt.NDArray[np.int32]:
    """Codes, -1 for null; Arrow's own ways to NumPy import pandas, which takes a fifth of a second."""
    indices = array.indices
    if not len(indices):
        return np.empty(0, dtype=np.int32)
    there, buffer = indices.buffers()
    part = slice(indices.offset, indices.offset + len(indices))
    codes = np.frombuffer(buffer, dtype=np.int32)[part]
    if not indices.null_count:
        return codes
    is_there = np.unpackbits(np.frombuffer(there, dtype=np.uint8), bitorder="little")[part]
    return np.where(is_there.view(np.bool_), codes, np.int32(-1))


def _joined(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    joined = column.unify_dictionaries().combine_chunks() if column.num_chunks else pa.array([], column.type)
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _taker_of_chunks(column: pa.ChunkedArray) -> _Taker:
    if column.num_chunks < 2:
        return _taker(_joined(column))
    takers = [_taker(chunk) for chunk in column.chunks]
    starts = np.cumsum([0, *(len(chunk) for chunk in column.chunks[:-1])])

    def take(rows: Rows) -> list[Any]:
        of_chunk = np.searchsorted(starts, rows, side="right") - 1
        found: list[Any] = [None] * len(rows)
        for number in np.unique(of_chunk).tolist():
            places = np.flatnonzero(of_chunk == number)
            for place, value in zip(places.tolist(), takers[number](rows[places] - starts[number]), strict=True):
                found[place] = value
        return found

    return take


def _taker(array: pa.Array) -> _Taker:
    """What gives the values of a few rows: NumPy over Arrow's buffers is quicker at that than Arrow's own functions."""
    if array.null_count == len(array):
        return lambda rows: [None] * len(rows)
    if array.offset:  # its buffers begin elsewhere
        return lambda rows: list(array.take(pa.array(rows)).to_pylist())
    if pa.types.is_dictionary(array.type):
        return _text_taker(array)
    if pa.types.is_large_string(array.type):
        return _id_taker(array)
    return _number_taker(array)


def _number_taker(array: pa.Array) -> _Taker:
    there = _validity(array)
    if pa.types.is_boolean(array.type):
        bits = memoryview(array.buffers()[1]).cast("B")
        return lambda rows: _where_there(_bits(bits, rows.tolist()), there, rows)
    numbers = np.frombuffer(array.buffers()[1], dtype=array.type.to_pandas_dtype(), count=len(array))
    return lambda rows: _where_there(numbers[rows].tolist(), there, rows)


def _text_taker(array: pa.DictionaryArray) -> _Taker:
    indices, there = array.indices, _validity(array.indices)
    codes = np.frombuffer(indices.buffers()[1], dtype=np.int32, count=len(array))
    texts = array.dictionary.to_pylist()
    # The code of a null may be any number.
    if there is None:
        return lambda rows: [texts[code] for code in codes[rows].tolist()]

    def take(rows: Rows) -> list[Any]:
        found = zip(codes[rows].tolist(), _bits(there, rows.tolist()), strict=True)
        return [texts[code] if is_there else None for code, is_there in found]

    return take


def _id_taker(array: pa.LargeStringArray) -> _Taker:
    _, offsets, data = array.buffers()
    starts, letters = np.frombuffer(offsets, dtype=np.int64, count=len(array) + 1), memoryview(data)

    def take(rows: Rows) -> list[Any]:
        its = zip(starts[rows].tolist(), starts[rows + 1].tolist(), strict=True)
        return [str(letters[start:end], "utf-8") for start, end in its]

    return take


def _where_there(values: list[Any], there: memoryview | None, rows: Rows) -> list[Any]:
    if there is None:
        return values
    return [value if is_there else None for value, is_there in zip(values, _bits(there, rows.tolist()), strict=True)]


def _validity(array: pa.Array) -> memoryview | None:
    return memoryview(array.buffers()[0]).cast("B") if array.null_count else None


def _bits(packed: memoryview, rows: list[int]) -> list[bool]:
    return [bool(packed[row >> 3] >> (row & 7) & 1) for row in rows]


def _plain(array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        return array.dictionary_decode()
    return array.cast(pa.string()) if pa.types.is_large_string(array.type) else array
