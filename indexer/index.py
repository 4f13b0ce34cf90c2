"""An index opened for reading: one consistent state of its tables, with its vectors beside."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from threading import RLock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from encoders.contracts import Modality, Vectors
from encoders.space import SpaceCard
from indexer.access import Access
from indexer.errors import IndexFormatError
from indexer.schema import FAILED_SCHEMA, GENES_SCHEMA, ITEM_COLUMNS, ITEM_METADATA, SLIDES_SCHEMA
from indexer.store.card import CARD_NAME, IndexCard, check_space
from indexer.store.location import Location, locate
from indexer.store.manifests import described, fragments_of, n_rows_of, noted, read_manifest, row_ids_after
from indexer.store.opening import Opener, fetch_sidecars, resolve
from indexer.store.tables import IDENTITY_KEY, TABLES, RowIds, Store
from indexer.store.versions import card_of, split_version
from indexer.store.written import recalled
from indexer.vectors.columns import ItemColumns
from indexer.vectors.conditions import compile_where
from indexer.vectors.sidecar import open_items
from indexer.vectors.sidecar_card import VectorTable
from indexer.vectors.tails import Tails, read_vectors
from indexer.vectors.vector_set import VectorSet

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Index:
    """One committed state of an index. Later commits are seen by opening it again; `is_current` says whether to.

    Rows are numbered 0 to n - 1 in the order they were committed; every method that takes or gives rows means these
    numbers. Opened by `Index.open`; read-only, so many threads may share one.
    """

    def __init__(
        self,
        location: Location,
        card: IndexCard,
        store: Store | None = None,
        *,
        stamp: str | None = None,
        access: Access = Access(),  # noqa: B008  # frozen
    ) -> None:
        self.location = location
        self.access = access
        self.folder = location.folder
        self.card = card
        if store is not None:
            self.store = store
        self._stamp = stamp
        self._vectors: dict[Modality, VectorSet] = {}
        self._opening = RLock()
        self._later_ids: dict[int, RowIds] = {}
        self.tails = Tails()

    @classmethod
    def open(
        cls,
        uri: str | Path | Location,
        *,
        version: int | str | None = None,
        space: SpaceCard | None = None,
        access: Access | None = None,
    ) -> "Index":
        """Open an index at its last commit, or at a version of the past.

        Parameters
        ----------
        uri : str or Path or Location
            Folder or `s3://BUCKET/PREFIX` of the index; `@VERSION` behind it means that version.
        version : int or str, optional
            Number or tag of a version.
        space : SpaceCard, optional
            The space the caller will query in; checked against the index's own.
        access : Access, optional
            Engine and device that search the vectors.

        Raises
        ------
        IndexMissingError
            If there is no index.
        IndexFormatError
            If it is half-written, damaged, or of another format version.
        SpaceMismatchError
            If it was built in another space or revision.
        VersionError
            If there is no such version.
        """
        if version is None and not isinstance(uri, Location):
            uri, version = split_version(uri)
        location = locate(uri)
        stamp = None if version is not None else _card_stamp(location)
        card = card_of(location, version)
        if space is not None:
            check_space(card.space, space)
        # Opening the tables takes longer than everything else; they wait until something is read from them.
        store = None if _has_manifests(location, card) else Store.open(location, card.table_versions)
        return cls(location, card, store, stamp=stamp, access=access or Access())

    def reopened(self) -> "Index":
        """The index at its last commit, where what came since is read alone; raises as `open` does."""
        index = Index.open(self.location, access=self.access)
        index.tails = self.tails
        return index

    def is_current(self) -> bool:
        """Whether this is still the last commit, told by the card's file alone; of a version asked for, always."""
        return self._stamp is None or self._stamp == _card_stamp(self.location)

    def check_space(self, space: SpaceCard) -> None:
        """Raise `SpaceMismatchError` unless the index was built in `space`, same revision."""
        check_space(self.card.space, space)

    def __len__(self) -> int:
        return len(self.columns)

    @cached_property
    def store(self) -> Store:
        """The tables at the versions of the card."""
        return Store.open(self.location, self.card.table_versions)

    @cached_property
    def columns(self) -> ItemColumns:
        """Metadata of all items as search reads it: mapped from a sidecar where one fits."""
        fetch_sidecars(self.location, self._opener.access)
        return open_items(self.folder, self._table, self.tails)

    def metadata(self) -> pa.Table:
        """Columns `ITEM_COLUMNS` of all items as the table holds them; the place of a row is its number."""
        return self._items[0]

    def slides(self) -> pa.Table:
        """All slides, `SLIDES_SCHEMA`, in the order they were committed."""
        return self._slides

    def slide_facts(self) -> pa.Table:
        """All slides without their pictures, in the same order: what is cheap to read of many."""
        return self._slide_facts[0]

    def slide_picture(self, slide: str) -> bytes | None:
        """JPEG of a whole slide, `None` where it has none, or there is no such slide; of many slides one is read."""
        table, row_ids = self._slide_facts
        place = table.column("slide").index(slide).as_py()
        if place < 0:
            return None
        found: bytes | None = self.store.take("slides", row_ids[[place]], ["thumbnail"]).column(0)[0].as_py()
        return found

    def failed(self) -> pa.Table:
        """Slides that could not be ingested, `FAILED_SCHEMA`, with the reason."""
        return self.store.read("failed_items", FAILED_SCHEMA.names)[0]

    @cached_property
    def genes(self) -> tuple[str, ...]:
        """Symbols of the panel, in the order of `expression` columns."""
        return tuple(self._genes.column("symbol").to_pylist())

    @cached_property
    def ensembl_ids(self) -> tuple[str | None, ...]:
        """Ensembl id of each gene of the panel, `None` where unknown."""
        return tuple(self._genes.column("ensembl_id").to_pylist())

    def vectors(self, modality: Modality) -> VectorSet:
        """Vectors of the items that have one in this modality; from the sidecar, which is mended if need be.

        Raises
        ------
        StoreError
            If the engine of `access` lacks something.
        """
        if modality not in self._vectors:
            with self._opening:  # threads that ask at once open it once
                if modality not in self._vectors:
                    self._vectors[modality] = self._opener.open(modality)
        return self._vectors[modality]

    def expression(self, rows: Sequence[int] | Rows) -> sp.csr_matrix:
        """Raw counts of some rows over the panel, csr float32 `(len(rows), n_genes)`; empty where there are none."""
        wanted = np.asarray(rows, dtype=np.int64)
        found = self._take(wanted, ["gene_index", "gene_count"])
        columns, counts = found.column("gene_index"), found.column("gene_count")
        lengths = np.array([0 if length is None else length for length in _lengths(columns)], dtype=np.int64)
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        data = _flat(counts)
        return sp.csr_matrix((data, _flat(columns), indptr), shape=(len(wanted), len(self.genes)))

    def thumbnails(self, rows: Sequence[int] | Rows) -> list[bytes | None]:
        """JPEG of each row's patch, `None` where there is none."""
        found: list[bytes | None] = self._take(np.asarray(rows, dtype=np.int64), ["thumbnail"]).column(0).to_pylist()
        return found

    def filter_rows(self, where: str) -> Mask:
        """Rows a SQL condition over `ITEM_COLUMNS` allows, bool `(n_items,)`; raises `WhereError`.

        The usual conditions are answered from `columns`, all others by LanceDB, with the same rows.
        """
        condition = compile_where(where, {field.name: field.type for field in ITEM_METADATA})
        if condition is not None:
            return condition(self.columns.array).true
        mask = np.zeros(len(self), dtype=np.bool_)
        mask[np.searchsorted(self.columns.row_ids, self.store.matching("items", where))] = True
        return mask

    def vector_table(self) -> VectorTable:
        """What the sidecars of this state are derived from."""
        version = self.card.table_versions["items"]
        manifest = self._manifest
        return VectorTable(
            version=version,
            manifest=hashlib.sha256(manifest).hexdigest() if manifest else "",
            space_revision=self.card.space.revision,
            dim=self.card.space.dim,
            identity=lambda: noted(manifest, IDENTITY_KEY).decode() or self.store.identity,
            fragments=lambda: fragments_of(manifest),
            count=self._count,
            row_ids=self._row_ids_after,
            items=self._items_of,
            vectors=self._vectors_after,
        )

    def stored_vectors(self, modality: Modality) -> tuple[Rows, Vectors]:
        """Vectors as the table holds them: row numbers int64 `(m,)` and float32 `(m, dim)`, all in memory."""
        return read_vectors(self._table, modality, None, self._row_ids)

    def stream_vectors(self, modality: Modality) -> Iterator[tuple[Rows, Vectors]]:
        """The same a batch at a time, and nothing more of them in memory."""
        for vectors, ids in self.store.stream_slowly("items", f"{modality}_vector"):
            yield np.searchsorted(self._row_ids, ids), vectors

    def _row_ids_after(self, after: int | None) -> RowIds:
        if after is None:
            return self._row_ids
        if after not in self._later_ids:
            found = row_ids_after(self._manifest, after)
            self._later_ids[after] = self.store.matching("items", f"_rowid > {after}") if found is None else found
        return self._later_ids[after]

    def _items_of(self, row_ids: RowIds | None) -> tuple[pa.Table, RowIds]:
        if row_ids is None:
            return self._items
        written = recalled(described(self._manifest), int(row_ids[0]) - 1) if len(row_ids) and row_ids[0] else None
        if written and np.array_equal(np.concatenate([part.row_ids for part in written]), row_ids):
            return pa.concat_tables([part.items for part in written]), row_ids
        return self.store.take("items", row_ids, ITEM_COLUMNS), row_ids

    def _vectors_after(self, modality: Modality, after: int | None) -> Iterator[tuple[Vectors, RowIds]]:
        written = None if after is None else recalled(described(self._manifest), after)
        if written is not None:
            return (part.vectors[modality] for part in written if len(part.vectors[modality][1]))
        return self.store.stream("items", f"{modality}_vector", after)

    def _count(self) -> int:
        found = n_rows_of(self._manifest)
        return self.store.count("items") if found is None else found

    @cached_property
    def _manifest(self) -> bytes:
        return read_manifest(self.location, "items", self.card.table_versions["items"])

    @cached_property
    def _opener(self) -> Opener:
        access = resolve(self.access, self.location, sum(self.card.counts.values()), self._table)
        return Opener(access, self.location, self._table, self.tails, lambda: self.store, lambda: self.columns.row_ids)

    @cached_property
    def _table(self) -> VectorTable:
        return self.vector_table()

    @cached_property
    def _row_ids(self) -> RowIds:
        return self.store.matching("items", "true")

    @cached_property
    def _items(self) -> tuple[pa.Table, RowIds]:
        return self.store.read("items", ITEM_COLUMNS)

    @cached_property
    def _slides(self) -> pa.Table:
        return self.store.read("slides", SLIDES_SCHEMA.names)[0]

    @cached_property
    def _slide_facts(self) -> tuple[pa.Table, RowIds]:
        return self.store.read("slides", [name for name in SLIDES_SCHEMA.names if name != "thumbnail"])

    @cached_property
    def _genes(self) -> pa.Table:
        return self.store.read("genes", GENES_SCHEMA.names)[0]

    def _take(self, rows: Rows, columns: list[str]) -> pa.Table:
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexFormatError(f"Row {rows.max()} does not exist: the index has {len(self):,} rows, from 0 on.")
        return self.store.take("items", self.columns.row_ids[rows], columns)


def _has_manifests(location: Location, card: IndexCard) -> bool:
    return all(read_manifest(location, table, card.table_versions.get(table, -1)) for table in TABLES)


def _card_stamp(location: Location) -> str:
    try:
        return location.stamp(CARD_NAME)
    except OSError:  # opening it says what is wrong
        return ""


def _lengths(column: pa.ChunkedArray) -> list[int | None]:
    import pyarrow.compute as pc

    lengths: list[int | None] = pc.list_value_length(column).to_pylist()
    return lengths


def _flat(column: pa.ChunkedArray) -> npt.NDArray[np.generic]:
    import pyarrow.compute as pc

    return np.array(pc.list_flatten(column))  # a copy, since Arrow's own memory is read-only
