"""The four LanceDB tables of an index, read at fixed versions or written.

Only this module and `indexer.store.lance_index` touch LanceDB. Tables are made with stable row ids: the id of a row is
its own from its commit on, through deletes, compaction and rollback, no later row gets it again, and ids grow in the
order of the commits. Rows never change in place, so an id stands for the same values in every version that holds it.
Tables of indexes made before have Lance's plain ids, which name a place in a file: they too grow with the commits and
outlive appends and deletes, but compaction deals new ones.
"""

import re
import textwrap
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from indexer.errors import IndexFormatError, WhereError, WriteError
from indexer.schema import FAILED_SCHEMA, GENES_SCHEMA, SLIDES_SCHEMA, items_schema
from indexer.store.location import Location
from indexer.store.manifests import version_of

if TYPE_CHECKING:
    from lancedb.db import DBConnection
    from lancedb.table import Table

#: Where in LanceDB's own sources an error was raised, which tells the user nothing.
_RUST_LINE = re.compile(r",? \S+\.rs:\d+(:\d+)?")
#: An object store's error repeats whole requests.
_REASON_LENGTH = 400

TABLES = ("items", "slides", "genes", "failed_items")
IDENTITY_KEY = b"histoseek_identity"
_SETTINGS_KEY = b"histoseek"
_LOCK_TABLE = "writer_lock"
_STABLE_ROW_IDS = {"new_table_enable_stable_row_ids": "true"}
_BATCH_ROWS = 8_192
#: Larger batches leave the processor's cache before they are read: a stream of them is half as fast.
_STREAMED_ROWS = 1_024
_AHEAD_ROWS = 16_384
_SCANNED_ROWS, _SCANNED_COLUMNS = 1_000, 4
_ONE_FILE_BYTES = 256 << 20
_DATA_FILE_END = b"LANC"
#: LanceDB removes what is older than a time, a week if it is told none.
_EVER = timedelta(days=36_500)

RowIds = npt.NDArray[np.uint64]


class Store:
    """Tables of one index. Rows keep the order in which they were committed.

    A store opened at fixed versions is read-only; `create` and `open_latest` give writable ones.
    """

    def __init__(self, tables: dict[str, "Table"], location: Location) -> None:
        self._tables = tables
        self._location = location

    @classmethod
    def open(cls, location: Location, versions: Mapping[str, int]) -> "Store":
        """Open the tables at the versions of a card; raises `IndexFormatError` if one of them is not there."""
        tables = _open_tables(location)
        for name, table in tables.items():
            try:
                table.checkout(versions[name])
            except (KeyError, ValueError, RuntimeError, OSError) as error:
                raise IndexFormatError(
                    f"Table {name} of index {location} has no version {versions.get(name)}, which the card names: "
                    f"{_reason(error)}. Put the folder back together from one backup, or ingest into a new index."
                ) from error
        return cls(tables, location)

    @classmethod
    def open_latest(cls, location: Location) -> "Store":
        """Open the tables at their newest versions; raises `IndexFormatError` if one is missing or damaged."""
        return cls(_open_tables(location), location)

    @classmethod
    def create(cls, location: Location, dim: int, settings: str, *, overwrite: bool = False) -> "Store":
        """Create the tables that are not there yet, or all; `settings` is kept in the schema of `items`."""
        schemas = {
            "items": items_schema(dim).with_metadata(
                {_SETTINGS_KEY: settings.encode(), IDENTITY_KEY: uuid.uuid4().hex.encode()}
            ),
            "slides": SLIDES_SCHEMA,
            "genes": GENES_SCHEMA,
            "failed_items": FAILED_SCHEMA,
        }
        with writing(f"the tables of index {location}"):
            database = _connect(location)
            for name, schema in schemas.items():
                there = _has_table(database, name)
                if there and overwrite:
                    database.drop_table(name)  # a table that is only overwritten keeps its kind of row ids
                if overwrite or not there:
                    database.create_table(name, schema=schema, storage_options=_STABLE_ROW_IDS)
        return cls.open_latest(location)

    @property
    def settings(self) -> str:
        """The settings text the index was created with."""
        return str((self._tables["items"].schema.metadata or {}).get(_SETTINGS_KEY, b"").decode())

    @property
    def identity(self) -> str:
        """Random text that tells these tables from others made at the same place; empty for those of older indexes."""
        return str((self._tables["items"].schema.metadata or {}).get(IDENTITY_KEY, b"").decode())

    @property
    def versions(self) -> dict[str, int]:
        """Version of each table."""
        return {name: int(table.version) for name, table in self._tables.items()}

    @property
    def stable_row_ids(self) -> bool:
        """Whether rows keep their ids through compaction: true of every index but those made before ids were stable."""
        return bool(self.identity)

    @property
    def fragments(self) -> dict[str, int]:
        """Data files each table is in."""
        stats: dict[str, Any] = {name: table.stats() for name, table in self._tables.items()}  # declared as a class
        return {name: int(found["fragment_stats"]["num_fragments"]) for name, found in stats.items()}

    @property
    def kept_versions(self) -> dict[str, list[int]]:
        """Versions of each table that are still on the disk, ascending."""
        return {
            name: sorted(int(version["version"]) for version in table.list_versions())
            for name, table in self._tables.items()
        }

    def roll_back(self, versions: Mapping[str, int]) -> None:
        """Make older versions the newest ones again; raises `WriteError`."""
        for name, table in self._tables.items():
            if table.version != versions[name]:
                with writing(f"table {name}"):
                    table.restore(versions[name])

    def count(self, table: str, where: str | None = None) -> int:
        """Rows of a table."""
        with reading(table):
            return int(self._tables[table].count_rows(where))

    def read(self, table: str, columns: Sequence[str]) -> tuple[pa.Table, RowIds]:
        """All rows of some columns in the order they were committed, with their row ids."""
        query = self._tables[table].search().select(list(columns)).with_row_id(with_row_id=True)
        with reading(table):
            rows = query.limit(None).to_arrow()
        row_ids = rows.column("_rowid").to_numpy()
        order = np.argsort(row_ids)
        rows = rows.select(list(columns)).replace_schema_metadata(None)
        # Lance scans in order as a rule; only a table that came otherwise is copied.
        if not np.array_equal(order, np.arange(len(order))):
            rows = rows.take(order)
        return rows, row_ids[order]

    def matching(self, table: str, where: str) -> RowIds:
        """Row ids a SQL condition allows, ascending; raises `WhereError` if it does not parse."""
        try:
            rows = self._tables[table].search().where(where).select(["_rowid"]).limit(None).to_arrow()
        except (ValueError, RuntimeError) as error:
            raise WhereError(f"The condition {where!r} is refused: {_reason(error)}.") from error
        return np.sort(rows.column("_rowid").to_numpy())

    def count_vectors(self, column: str) -> int:
        """Rows that have a value in a column of vectors."""
        return sum(len(ids) for _, ids in self.stream("items", column))

    def rows_with(self, column: str, row_ids: RowIds) -> npt.NDArray[np.int64]:
        """Places among the row ids of all items of those that have a value in a column of vectors, ascending."""
        ids = [its for _, its in self.stream("items", column)]
        return np.searchsorted(row_ids, np.sort(np.concatenate([np.empty(0, np.uint64), *ids])))

    def take(self, table: str, row_ids: RowIds, columns: Sequence[str]) -> pa.Table:
        """Rows by row id, in the order asked for, repeats included."""
        if not len(row_ids):
            return self._tables[table].schema.empty_table().select(list(columns))
        unique, place = np.unique(row_ids, return_inverse=True)
        with reading(table):
            few = len(columns) <= _SCANNED_COLUMNS  # a scan under a condition reads each column by itself
            if few and len(unique) >= _SCANNED_ROWS and unique[-1] - unique[0] < 2 * len(unique):
                within = f"_rowid >= {unique[0]} AND _rowid <= {unique[-1]}"  # a scan is several times as fast
                query = self._tables[table].search().where(within).select([*columns, "_rowid"]).limit(None)
                found = query.to_arrow()
            else:
                found = self._tables[table].take_row_ids(unique.tolist()).select([*columns, "_rowid"]).to_arrow()
        found_ids = found.column("_rowid").to_numpy()
        if len(missing := np.setdiff1d(unique, found_ids)):
            raise IndexFormatError(
                f"Table {table} of the index has no row of id {missing[0]}, which its vector files name. Delete the "
                "folder `sidecar` of the index: it is made again when the index is opened."
            )
        order = np.argsort(found_ids)
        places = order[np.searchsorted(found_ids[order], unique)][place]
        found = found.select(list(columns))
        # Rows asked for in their order come in it: copying lists of genes would take longer than reading them.
        return found if np.array_equal(places, np.arange(len(found))) else found.take(places)

    def stream(
        self, table: str, column: str, after: int | None = None
    ) -> Iterator[tuple[npt.NDArray[np.float32], RowIds]]:
        """A column of vectors a batch at a time, with row ids; rows without a vector are left out.

        Of all rows, or of those of larger ids than `after`.
        """
        yield from _vectors_of(self._later(table, after).limit(None), table, column)

    def stream_slowly(self, table: str, column: str) -> Iterator[tuple[npt.NDArray[np.float32], RowIds]]:
        """The same of all rows, for one who takes longer than the reading: LanceDB reads ahead without end."""
        for start in range(0, self.count(table), _AHEAD_ROWS):
            query = self._tables[table].search().limit(_AHEAD_ROWS).offset(start)
            yield from _vectors_of(query, table, column)

    def batches(self, table: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows of some columns a batch at a time."""
        with reading(table):
            yield from self._tables[table].search().select(list(columns)).limit(None).to_batches(_STREAMED_ROWS)

    def _later(self, table: str, after: int | None) -> Any:  # LanceDB declares any kind of query
        query = self._tables[table].search()
        return query if after is None else query.where(f"_rowid > {after}")

    def table(self, name: str) -> "Table":
        """One table, for what else LanceDB does with it."""
        return self._tables[name]

    def append(self, table: str, rows: Sequence[pa.Table]) -> None:
        """Add rows as one version; raises `WriteError`, and then no row of them is there."""
        schema = self._tables[table].schema
        n_bytes = sum(part.nbytes for part in rows)
        batches = (batch for part in rows for batch in part.cast(schema).to_batches(max_chunksize=_BATCH_ROWS))
        with writing(f"table {table}"), self._written_whole(table):
            at_once = 1 if n_bytes < _ONE_FILE_BYTES else None  # rows of one file keep their order
            self._tables[table].add(pa.RecordBatchReader.from_batches(schema, batches), write_parallelism=at_once)

    def kinds_of(self, slide: str) -> dict[str, int]:
        """Items of a slide by kind."""
        with reading("items"):
            rows = self._tables["items"].search().where(_of_slide(slide)).select(["kind"]).limit(None).to_arrow()
        return {row["values"]: row["counts"] for row in rows.column("kind").value_counts().to_pylist()}

    def compact(self) -> None:
        """Fold small data files together, as new versions; nothing is removed. Rows and their order stay."""
        for name, table in self._tables.items():
            with writing(f"table {name}"), self._written_whole(name):
                table.optimize(cleanup_older_than=_EVER)

    def forget_versions(self, keep: Mapping[str, Collection[int]]) -> None:
        """Remove all versions of each table but those to keep and the newest, and the files only they used.

        Only the writer may: what a killed writer left behind goes with them. LanceDB itself removes by age alone and
        refuses where a tag is in the way, so the manifests of the versions are removed here, and LanceDB then finds
        the files that no manifest names.
        """
        for name, table in self._tables.items():
            with writing(f"table {name}"):
                present = int(table.version)
                old = {int(version["version"]) for version in table.list_versions()} - {present, *keep[name]}
                folder = f"{name}.lance/_versions"
                manifests = {
                    version_of(file): file for file in self._location.names(folder) if file.endswith(".manifest")
                }
                for version in sorted(version for version in old if version < present):
                    self._location.remove(f"{folder}/{manifests[version]}")
                table.optimize(cleanup_older_than=_EVER, delete_unverified=True)

    def check_files(self, table: str, names: Collection[str]) -> None:
        """Raise `IndexFormatError` if a data file of a table is missing or cut short; only the ends are read."""
        with reading(table):
            for name in names:
                if not self._location.ends_with(f"{table}.lance/data/{name}", _DATA_FILE_END):
                    raise OSError(f"its data file {name} is cut short")

    def delete_slide(self, table: str, slide: str) -> None:
        """Take the rows of a slide out as one version; no version is made if there are none."""
        where = _of_slide(slide)
        with writing(f"table {table}"):
            if self.count(table, where):
                self._tables[table].delete(where)

    @contextmanager
    def _written_whole(self, table: str) -> Iterator[None]:
        # On a full disk Lance 13 loses the error of the last write of a data file, and commits it cut short.
        folder = f"{table}.lance/data"
        before = self._location.local_names(folder)
        yield
        for name in self._location.local_names(folder) - before:
            if not self._location.ends_with(f"{folder}/{name}", _DATA_FILE_END):
                raise OSError(f"its data file {name} was cut short, the disk may be full")


def _vectors_of(query: Any, table: str, column: str) -> Iterator[tuple[npt.NDArray[np.float32], RowIds]]:
    with reading(table):
        for batch in query.select([column]).with_row_id(with_row_id=True).to_batches(_STREAMED_ROWS):
            found = batch.column(column)
            vectors = np.asarray(found.flatten()).reshape(-1, found.type.list_size)  # leaves nulls out
            yield vectors, batch.column("_rowid").to_numpy()[np.asarray(found.is_valid())]


def _of_slide(slide: str) -> str:
    return f"slide = '{slide.replace(chr(39), chr(39) * 2)}'"


def create_lock_table(location: Location) -> bool:
    """Make the table that only one writer can make; False if another has."""
    with writing(f"the lock of index {location}"):
        database = _connect(location)
        if _has_table(database, _LOCK_TABLE):
            return False
        try:
            database.create_table(_LOCK_TABLE, schema=GENES_SCHEMA)
        except (OSError, RuntimeError, ValueError):
            if not _has_table(database, _LOCK_TABLE):
                raise
            return False
        return True


def drop_lock_table(location: Location) -> bool:
    """Take the lock table away; False if there was none."""
    with writing(f"the lock of index {location}"):
        database = _connect(location)
        there = _has_table(database, _LOCK_TABLE)
        if there:
            database.drop_table(_LOCK_TABLE)
        return there


def _connect(location: Location) -> "DBConnection":
    import lancedb

    return lancedb.connect(location.uri, storage_options=location.storage_options or None)


def _has_table(database: "DBConnection", name: str) -> bool:
    try:
        database.open_table(name)
    except ValueError:  # what LanceDB says of a table that is not there
        return False
    return True


def _open_tables(location: Location) -> dict[str, "Table"]:
    database = _connect(location)
    tables = {}
    for name in TABLES:
        try:
            tables[name] = database.open_table(name)
        except (ValueError, RuntimeError, OSError) as error:
            raise IndexFormatError(
                f"Table {name} of index {location} is missing or damaged: {_reason(error)}. "
                "Delete the folder and run `histoseek ingest` on it again."
            ) from error
    return tables


@contextmanager
def reading(table: str) -> Iterator[None]:
    """Errors of reading a table as `IndexFormatError`."""
    # A table opens without its data files; that one of them is lost or cut short is only found when rows are read.
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        raise IndexFormatError(
            f"Table {table} of the index cannot be read, a file of it is missing or damaged: {_reason(error)}. If "
            "`histoseek index optimize` has just let go of this version, open the index again; else put the folder "
            "back from a backup, or delete it and run `histoseek ingest` again."
        ) from error


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Errors of writing as `WriteError`."""
    # LanceDB reports a full disk as OSError, RuntimeError or ValueError, depending on the layer that met it.
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        raise WriteError(
            f"Writing {what} failed: {_reason(error)}. Committed slides are untouched; free some space or mend the "
            "permissions, then run this again."
        ) from error


def _reason(error: Exception) -> str:
    return textwrap.shorten(_RUST_LINE.sub("", str(error)), _REASON_LENGTH, placeholder=" ...").rstrip(". ")
