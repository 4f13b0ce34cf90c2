"""The derived files of one modality: its vectors to map into memory, lists over them, and the items' metadata.

A sidecar lies in `sidecar/<modality>/<digest>/` and never changes: it is written beside and renamed into place. It
carries the version of the `items` table it was derived from and the digest of that version's manifest; where both are
those of the state that is opened, nothing of the table is read. At a later version of the same table it serves on: rows
are told apart by LanceDB's row ids, those that are gone are left out and those that came after are read from the table
and compared exactly. What cannot be used is built again, on disk where the folder may be written, else in memory.
"""

import logging
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from encoders.contracts import Modality, Vectors
from indexer.errors import SidecarError, WriteError
from indexer.vectors.ann import EXACT_VALUES, INDEX_FILE, AnnIndex, is_small
from indexer.vectors.columns import COLUMNS_FILE, ROW_IDS_FILE, ItemColumns, RowIds, Rows, load_row_ids
from indexer.vectors.evidence import Evidence, measure
from indexer.vectors.knobs import TUNING_FILE, Tuning
from indexer.vectors.sharing import shared
from indexer.vectors.sidecar_card import (
    MODALITIES,
    ROWS_FILE,
    VECTORS_FILE,
    Change,
    SidecarCard,
    VectorTable,
    candidates,
    is_of_version,
)
from indexer.vectors.sidecar_files import write_sidecar
from indexer.vectors.tails import Tails, read_vectors
from indexer.vectors.vector_set import VectorSet

_LOG = logging.getLogger(__name__)


def open_items(folder: Path, table: VectorTable, tails: Tails) -> ItemColumns:
    """Metadata of the items: mapped from a sidecar that fits, else read from the table."""
    for path, card, change in candidates(folder, MODALITIES, table):
        try:
            _check_files(path, card, (COLUMNS_FILE, ROW_IDS_FILE))
            columns = ItemColumns.load(path)
        except (SidecarError, OSError, ValueError) as error:
            _LOG.warning("Sidecar %s is not used: %s", path, error)
            continue
        if change.alive is None and not len(change.tail):
            return columns
        tail = tails.items(change, table) if len(change.tail) else columns.table[:0]
        return columns.changed(change.alive, tail, change.tail)
    return ItemColumns.of_table(*table.items(None))


def open_vectors(folder: Path, modality: Modality, table: VectorTable, tails: Tails) -> VectorSet:
    """Vectors of a modality: from a sidecar that fits the table, else from a new one.

    Parameters
    ----------
    folder : Path
        The index folder; one that cannot be written is warned of, and the vectors are kept in memory.
    modality : {"image", "expression"}
        Which vectors.
    table : VectorTable
        The rows they must fit.
    tails : Tails
        What was read before of the rows that came after a sidecar.
    """
    for path, card, change in candidates(folder, (modality,), table):
        try:
            return _changed(_load(path, card), change, table, tails)
        except SidecarError as error:
            _LOG.warning("%s It is built again from the table.", error)
    try:
        return _load(*write_sidecar(folder, modality, table))
    except WriteError as error:
        _LOG.warning("%s The vectors are kept in memory for now.", error)
    row_ids = table.row_ids(None)
    rows, vectors = read_vectors(table, modality, None, row_ids)
    return VectorSet.over(modality, rows, vectors, len(row_ids))


def open_rows(
    folder: Path,
    modality: Modality,
    table: VectorTable,
    tails: Tails,
    base_of: Callable[[Rows, RowIds], Vectors],
    needed: Collection[str] = (),
) -> VectorSet | None:
    """As `open_vectors`, with vectors that lie elsewhere than in the sidecar; `None` if none fits the table.

    `base_of` stands in for the matrix, given the item of each of its rows and the row ids of the items; of the other
    files only those `needed` must be there.
    """
    for path, card, change in candidates(folder, (modality,), table):
        try:
            return _changed(_load(path, card, base_of, {ROWS_FILE, ROW_IDS_FILE, *needed}), change, table, tails)
        except SidecarError as error:
            _LOG.warning("%s It is not used.", error)
    return None


def refresh_sidecar(folder: Path, modality: Modality, table: VectorTable, *, tolerated: float = 0.0) -> None:
    """Bring the sidecar up to date; only the writer of an index may. Raises `WriteError`.

    One that is behind by no more than a share `tolerated` of the items, or by no more rows than are compared one by one
    in a millisecond or two, stays as it is. Old ones are left where they are: readers may have them open.
    """
    at_most = int(tolerated * table.count()) if tolerated else 0
    for path, card, change in candidates(folder, (modality,), table):
        n_gone = 0 if change.alive is None else int((~change.alive).sum())
        few = 0 if is_small(card.n_items, card.dim) or not tolerated else EXACT_VALUES // card.dim
        is_near = 0 < n_gone + len(change.tail) <= max(at_most, few)
        if (is_near and _is_whole(path, card)) or (is_of_version(card, table) and _opens(path, card)):
            return
    write_sidecar(folder, modality, table)


def _is_whole(path: Path, card: SidecarCard) -> bool:
    try:
        _check_files(path, card)
    except SidecarError as error:
        _LOG.warning("%s It is built again from the table.", error)
        return False
    return True


def _opens(path: Path, card: SidecarCard) -> bool:
    try:
        opened = _load(path, card)
        ItemColumns.load(path)
        _ann(path, card)
    except (SidecarError, OSError, ValueError, RuntimeError) as error:
        _LOG.warning("%s It is built again from the table.", error)
        return False
    return len(opened) == card.n_vectors


def _check_files(path: Path, card: SidecarCard, needed: Collection[str] | None = None) -> None:
    for name, size in card.file_bytes.items():
        if needed is not None and name not in needed:
            continue
        found = (path / name).stat().st_size if (path / name).exists() else 0
        if found != size:
            raise SidecarError(f"Sidecar file {path / name} has {found:,} bytes; expected {size:,}.")


def _load(
    path: Path,
    card: SidecarCard,
    base_of: Callable[[Rows, RowIds], Vectors] | None = None,
    needed: Collection[str] | None = None,
) -> VectorSet:
    _check_files(path, card, needed)
    try:
        # A map of an empty array is refused by the system.
        mode: Literal["r"] | None = "r" if card.n_vectors else None
        rows = np.load(path / ROWS_FILE, mmap_mode=mode)
        vectors = (
            shared(path / VECTORS_FILE, lambda: np.load(path / VECTORS_FILE, mmap_mode=mode), np.ndarray)
            if base_of is None
            else base_of(rows, load_row_ids(path))
        )
    except (OSError, ValueError) as error:
        raise SidecarError(f"Sidecar {path} cannot be read: {error}.") from error
    if rows.shape != (card.n_vectors,) or vectors.shape != (card.n_vectors, card.dim):
        raise SidecarError(
            f"Sidecar {path} holds {rows.shape} rows and {vectors.shape} vectors; expected {card.n_vectors:,} of "
            f"{card.dim} dims."
        )
    opened: npt.NDArray[np.float32] = vectors
    return VectorSet(card.modality, rows, opened, card.n_items, partial(_open_ann, path, card, opened), opened[:0])


def _open_ann(path: Path, card: SidecarCard, vectors: Vectors) -> tuple[AnnIndex, Evidence | None]:
    try:
        return _ann(path, card), _tuned(path, card.evidence)
    except (RuntimeError, OSError, ValueError) as error:
        _LOG.warning("FAISS index of %s cannot be read (%s); it is built again in memory.", path, error)
    ann = AnnIndex.build(vectors)
    return ann, None if ann.kind == "flat" else measure(vectors, ann)


def _ann(path: Path, card: SidecarCard) -> AnnIndex:
    shape = (card.n_vectors, card.dim)
    if card.kind == "flat":
        return AnnIndex.load(path, card.kind, shape)
    return shared(path / INDEX_FILE, lambda: AnnIndex.load(path, card.kind, shape), AnnIndex)


def _tuned(path: Path, evidence: Evidence | None) -> Evidence | None:
    """The evidence with the tolerance that `index tune` has set, if it has."""
    try:
        tuning = Tuning.model_validate_json((path / TUNING_FILE).read_text())
    except FileNotFoundError:
        return evidence
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        _LOG.warning("%s is damaged and not used: %s. Run `histoseek index tune` again.", path / TUNING_FILE, error)
        return evidence
    return None if evidence is None else evidence.model_copy(update={"tolerance": tuning.tolerance})


def _changed(loaded: VectorSet, change: Change, table: VectorTable, tails: Tails) -> VectorSet:
    if change.alive is None and not len(change.tail):
        return loaded
    item_of, n_alive = loaded.item_of, loaded.n_items
    if change.alive is not None:
        moved = np.where(change.alive, np.cumsum(change.alive) - 1, -1)
        item_of, n_alive = moved[item_of], int(change.alive.sum())
    places, tail = item_of[:0], loaded.tail
    if len(change.tail):
        places, tail = tails.vectors(loaded.modality, change, table)
    return VectorSet(
        loaded.modality,
        np.concatenate([item_of, n_alive + places]),
        loaded.base,
        n_alive + len(change.tail),
        loaded.open_ann,
        tail,
    )
