"""The vectors of one modality of an index, opened for the engine that is to search them."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from encoders.contracts import Modality, Vectors
from indexer.access import Access
from indexer.errors import StoreError
from indexer.store.lance_index import lance_index
from indexer.store.lance_vectors import LanceVectorSet
from indexer.store.location import SIDECAR, Location
from indexer.store.table_vectors import TableVectors
from indexer.store.tables import Store
from indexer.vectors.ann import INDEX_FILE, LIST_OF_FILE, RADII_FILE, AnnIndex, is_small
from indexer.vectors.columns import RowIds, Rows
from indexer.vectors.gpu_vectors import on_device
from indexer.vectors.mapped_codes import CODES_FILE
from indexer.vectors.sidecar import open_rows, open_vectors
from indexer.vectors.sidecar_card import MODALITIES, VECTORS_FILE, VectorTable, sidecar_folder
from indexer.vectors.table_vector_set import TableVectorSet
from indexer.vectors.tails import Tails
from indexer.vectors.vector_set import VectorSet

_LOG = logging.getLogger(__name__)
_LISTS = (INDEX_FILE, CODES_FILE, LIST_OF_FILE, RADII_FILE)
#: Files of the sidecars that an engine does without; from a bucket they are not copied.
_LEFT_OUT: dict[str, tuple[str, ...]] = {"faiss": (), "codes": (VECTORS_FILE,), "lance": (VECTORS_FILE, *_LISTS)}


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens the vectors of one state of an index.

    Attributes
    ----------
    access : Access
        Engine and device; the engine is no longer `auto`.
    location : Location
        Where the index lies.
    table : VectorTable
        The rows the vectors belong to.
    tails : Tails
        What was read before of the rows that came after a sidecar.
    store : callable
        Gives the tables.
    row_ids : callable
        Gives the row id of each item, uint64 `(n_items,)`.
    """

    access: Access
    location: Location
    table: VectorTable
    tails: Tails
    store: Callable[[], Store]
    row_ids: Callable[[], RowIds]

    def open(self, modality: Modality) -> VectorSet:
        """Open the vectors of a modality.

        Raises
        ------
        StoreError
            If what the engine needs is not there, with the command that makes it.
        """
        fetch_sidecars(self.location, self.access)
        if self.access.engine == "codes":
            return self._codes(modality)
        if self.access.engine == "lance":
            return self._lance(modality)
        return on_device(open_vectors(self.location.folder, modality, self.table, self.tails), self.access.device)

    def _codes(self, modality: Modality) -> VectorSet:
        found = open_rows(self.location.folder, modality, self.table, self.tails, partial(self._base, modality), _LISTS)
        if found is None:
            raise StoreError(
                f"Engine codes searches the lists of the {modality} sidecar, and {self.location} has none that fits "
                "its rows. Run `histoseek index optimize` on it, or search with engine lance."
            )
        return TableVectorSet.of(found)

    def _lance(self, modality: Modality) -> VectorSet:
        folder = self.location.folder
        found = open_rows(folder, modality, self.table, self.tails, partial(self._base, modality))
        if found is None:
            rows = self.store().rows_with(f"{modality}_vector", self.row_ids())
            base = self._base(modality, rows, self.row_ids())
            found = VectorSet(modality, rows, base, len(self.row_ids()), _no_lists(base), _none(self.table.dim))
        else:
            found = replace(found, open_ann=_no_lists(found.base))
        index = lance_index(self.store(), modality)
        if index is None and not is_small(len(found), found.dim):
            raise StoreError(
                f"{self.location} has no LanceDB index of its {len(found):,} {modality} vectors. Run `histoseek index "
                "optimize --lance-index` on it, or search with engine faiss or codes."
            )
        return LanceVectorSet.of(found, row_ids=self.row_ids(), index=index)

    def _base(self, modality: Modality, rows: Rows, row_ids: RowIds) -> Vectors:
        stands_in: object = TableVectors(self.store, modality, row_ids[rows], self.table.dim)
        return stands_in  # type: ignore[return-value]  # read like a matrix, as far as a search reads one


def resolve(access: Access, location: Location, n_items: int, table: VectorTable) -> Access:
    """The engine that `auto` means for an index of that size."""
    if access.engine != "auto":
        return access
    if not exceeds_memory(n_items, table.dim) or _has_sidecar(location, table):
        return replace(access, engine="faiss")
    _LOG.warning(
        "%s has no sidecar, and its vectors (%.1f GB) are more than half of this machine's memory: LanceDB's own index "
        "is searched. A machine with more memory makes the sidecar by `histoseek index optimize`.",
        location,
        4 * n_items * table.dim / 1e9,
    )
    return Access("lance", "cpu")


def fetch_sidecars(location: Location, access: Access) -> None:
    """Bring the sidecar files that an engine needs to this machine, where the index lies elsewhere."""
    location.fetch_sidecars(_LEFT_OUT[access.engine])


def exceeds_memory(n_items: int, dim: int) -> bool:
    """Whether so many vectors are more than half of this machine's memory, which making a sidecar takes."""
    return 4 * n_items * dim > memory_bytes() // 2


def memory_bytes() -> int:
    """Memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _has_sidecar(location: Location, table: VectorTable) -> bool:
    """Whether a sidecar serves the table; one in a bucket that is not here yet is taken at its word."""
    serves = any(sidecar_folder(location.folder, modality, table) for modality in MODALITIES)
    in_bucket = not location.local_names("") and any(location.names(f"{SIDECAR}/{side}") for side in MODALITIES)
    return serves or in_bucket


def _no_lists(base: Vectors) -> Callable[[], tuple[AnnIndex, None]]:
    return lambda: (AnnIndex("flat", (base.shape[0], base.shape[1])), None)


def _none(dim: int) -> Vectors:
    return np.empty((0, dim), dtype=np.float32)
