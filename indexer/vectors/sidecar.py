"""The derived files of one modality: its vectors to map into memory, lists over them, and the items' metadata.

A sidecar lies in `sidecar/<modality>/<digest>/` and never changes: it is written beside and renamed into place. It
carries the version of the `items` table it was derived from and the digest of that version's manifest; where both are
those of the state that is opened, nothing of the table is read. At a later version of the same table it serves on: rows
are told apart by LanceDB's row ids, those that are gone are left out and those that came after are read from the table
and compared exactly. What cannot be used is built again, on disk where the folder may be written, else in memory.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from encoders.contracts import Modality, Vectors
from indexer.errors import SidecarError, WriteError
from indexer.vectors.ann import EXACT_VALUES, AnnIndex, Kind, faiss_version, files_of, is_small
from indexer.vectors.columns import COLUMNS_FILE, ROW_IDS_FILE, ItemColumns, Mask, RowIds, Rows
from indexer.vectors.evidence import Evidence, measure
from indexer.vectors.knobs import TUNING_FILE, Tuning, last_tuning
from indexer.vectors.vector_set import VectorSet

_LOG = logging.getLogger(__name__)
SIDECAR_FORMAT = 2
MODALITIES: tuple[Modality, ...] = ("image", "expression")
#: More rows than this newer than the sidecar, or gone since, are worth a new sidecar.
TAIL_ROWS = 50_000
VECTORS_FILE, ROWS_FILE, _CARD = "vectors.npy", "rows.npy", "sidecar.json"


class SidecarCard(BaseModel):
    """What a sidecar was derived from, and the size of its files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    modality: Modality
    items_version: int
    manifest: str
    identity: str
    n_items: int
    n_vectors: int
    dim: int
    digest: str
    space_revision: str
    kind: Kind
    evidence: Evidence | None
    faiss_version: str
    file_bytes: dict[str, int]


@dataclass(frozen=True, slots=True)
class VectorTable:
    """The truth a sidecar is derived from: one committed version of the `items` table.

    Attributes
    ----------
    version : int
        Version of the table.
    manifest : str
        Digest of the manifest of that version; empty if it cannot be told.
    space_revision : str
        Revision of the space the vectors live in.
    dim : int
        Dimension of the vectors.
    identity : callable
        Random text of these tables, empty for those whose row ids may move.
    row_ids : callable
        Row ids of all items, ascending.
    count : callable
        Number of items.
    items : callable
        Metadata of all items, or of those of some row ids, with row ids.
    vectors : callable
        Vectors of a modality of all items, or of those of some row ids: places among them int64 `(m,)` and float32
        `(m, dim)`.
    """

    version: int
    manifest: str
    space_revision: str
    dim: int
    identity: Callable[[], str]
    row_ids: Callable[[], RowIds]
    count: Callable[[], int]
    items: Callable[[RowIds | None], tuple[pa.Table, RowIds]]
    vectors: Callable[[Modality, RowIds | None], tuple[Rows, Vectors]]


class Change(NamedTuple):
    """How the table differs from a sidecar: items still there (`None`: all), and row ids of those that came after."""

    alive: Mask | None
    tail: RowIds


def open_items(folder: Path, table: VectorTable) -> ItemColumns:
    """Metadata of the items: mapped from a sidecar that fits, else read from the table."""
    for path, card, change in _candidates(folder, MODALITIES, table):
        try:
            _check_files(path, card, (COLUMNS_FILE, ROW_IDS_FILE))
            columns = ItemColumns.load(path)
        except (SidecarError, OSError, ValueError) as error:
            _LOG.warning("Sidecar %s is not used: %s", path, error)
            continue
        if change.alive is None and not len(change.tail):
            return columns
        tail, tail_ids = table.items(change.tail)
        return columns.changed(change.alive, tail, tail_ids)
    return ItemColumns.of_table(*table.items(None))


def open_vectors(folder: Path, modality: Modality, table: VectorTable) -> VectorSet:
    """Vectors of a modality: from a sidecar that fits the table, else from a new one.

    Parameters
    ----------
    folder : Path
        The index folder; one that cannot be written is warned of, and the vectors are kept in memory.
    modality : {"image", "expression"}
        Which vectors.
    table : VectorTable
        The rows they must fit.
    """
    for path, card, change in _candidates(folder, (modality,), table):
        try:
            return _changed(_load(path, card), change, table)
        except SidecarError as error:
            _LOG.warning("%s It is built again from the table.", error)
    try:
        return write_sidecar(folder, modality, table)
    except WriteError as error:
        _LOG.warning("%s The vectors are kept in memory for now.", error)
    rows, vectors = table.vectors(modality, None)
    return VectorSet.over(modality, rows, vectors, table.count())


def open_rows(
    folder: Path,
    modality: Modality,
    table: VectorTable,
    base_of: Callable[[Rows, RowIds], Vectors],
    needed: Collection[str] = (),
) -> VectorSet | None:
    """As `open_vectors`, with vectors that lie elsewhere than in the sidecar; `None` if none fits the table.

    `base_of` stands in for the matrix, given the item of each of its rows and the row ids of the items; of the other
    files only those `needed` must be there.
    """
    for path, card, change in _candidates(folder, (modality,), table):
        try:
            return _changed(_load(path, card, base_of, {ROWS_FILE, ROW_IDS_FILE, *needed}), change, table)
        except SidecarError as error:
            _LOG.warning("%s It is not used.", error)
    return None


def write_sidecar(folder: Path, modality: Modality, table: VectorTable) -> VectorSet:
    """Derive the sidecar of the table's rows and put it in place in one step; raises `WriteError`."""
    digest = _digest_of(table)
    path = folder / "sidecar" / modality / digest[:16]
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    items, row_ids = table.items(None)
    rows, vectors = table.vectors(modality, None)
    try:
        part.mkdir(parents=True, exist_ok=True)
        np.save(part / VECTORS_FILE, vectors)
        np.save(part / ROWS_FILE, rows)
        ItemColumns.of_table(items, row_ids).save(part)
        ann = AnnIndex.build(vectors)
        ann.save(part)
        names = (VECTORS_FILE, ROWS_FILE, COLUMNS_FILE, ROW_IDS_FILE, *files_of(ann.kind))
        card = SidecarCard(
            format=SIDECAR_FORMAT,
            modality=modality,
            items_version=table.version,
            manifest=table.manifest,
            identity=table.identity(),
            n_items=len(row_ids),
            n_vectors=len(rows),
            dim=vectors.shape[1],
            digest=digest,
            space_revision=table.space_revision,
            kind=ann.kind,
            evidence=None if ann.kind == "flat" else measure(vectors, ann),
            faiss_version=faiss_version(),
            file_bytes={name: (part / name).stat().st_size for name in names},
        )
        (part / _CARD).write_text(card.model_dump_json(indent=1))
        tuning = last_tuning(path.parent) if card.evidence is not None else None
        if tuning is not None:  # what was set goes on being used, until `index tune` measures again
            (part / TUNING_FILE).write_text(tuning.model_dump_json(indent=1))
        if path.exists():  # one that was refused
            shutil.rmtree(path)
        part.rename(path)
    except (OSError, RuntimeError) as error:  # FAISS reports a failed write as RuntimeError
        shutil.rmtree(part, ignore_errors=True)
        raise WriteError(
            f"The vector sidecar {path} could not be written: {error}. The rows themselves are committed; free some "
            "space or mend the permissions and open the index again."
        ) from error
    return _load(path, card)


def refresh_sidecar(folder: Path, modality: Modality, table: VectorTable, *, tolerated: float = 0.0) -> None:
    """Bring the sidecar up to date; only the writer of an index may. Raises `WriteError`.

    One that is behind by no more than a share `tolerated` of the items, or by no more rows than are compared one by one
    in a millisecond or two, stays as it is. Old ones are left where they are: readers may have them open.
    """
    at_most = int(tolerated * table.count()) if tolerated else 0
    for path, card, change in _candidates(folder, (modality,), table):
        n_gone = 0 if change.alive is None else int((~change.alive).sum())
        few = 0 if is_small(card.n_items, card.dim) or not tolerated else EXACT_VALUES // card.dim
        is_near = 0 < n_gone + len(change.tail) <= max(at_most, few)
        if (is_near or _is_of_version(card, table)) and _opens(path, card):
            return
    write_sidecar(folder, modality, table)


def _digest_of(table: VectorTable) -> str:
    said = f"{SIDECAR_FORMAT}\n{table.version}\n{table.manifest}\n{table.identity()}\n{table.space_revision}"
    return hashlib.sha256(said.encode()).hexdigest()


def _is_of_version(card: SidecarCard, table: VectorTable) -> bool:
    return (card.items_version, card.manifest, card.digest) == (table.version, table.manifest, _digest_of(table))


def _opens(path: Path, card: SidecarCard) -> bool:
    try:
        opened = _load(path, card)
        ItemColumns.load(path)
        if card.kind != "flat":
            AnnIndex.load(path, card.kind, (card.n_vectors, card.dim))
    except (SidecarError, OSError, ValueError, RuntimeError) as error:
        _LOG.warning("%s It is built again from the table.", error)
        return False
    return len(opened) == card.n_vectors


def _candidates(
    folder: Path, modalities: tuple[Modality, ...], table: VectorTable
) -> list[tuple[Path, SidecarCard, Change]]:
    """Sidecars that can serve the table, one of its own version first, then the newest."""
    found = []
    for modality in modalities:
        for path in sorted((folder / "sidecar" / modality).glob(f"[!.]*/{_CARD}")):
            try:
                card = SidecarCard.model_validate_json(path.read_text())
            except (OSError, ValidationError, UnicodeDecodeError) as error:
                _LOG.info("Sidecar %s is damaged or of another format and not used: %s", path.parent, error)
                continue
            if card.format == SIDECAR_FORMAT and card.space_revision == table.space_revision:
                found.append((path.parent, card))
    same = [one for one in found if (one[1].items_version, one[1].manifest) == (table.version, table.manifest)]
    if same and table.manifest:
        return [(path, card, Change(None, np.empty(0, np.uint64))) for path, card in same]
    usable = []
    for path, card in sorted(found, key=lambda one: -one[1].items_version):
        change = _change(path, card, table)
        if change is not None:
            usable.append((path, card, change))
            break  # an older one would only be further away
    return usable


def _change(path: Path, card: SidecarCard, table: VectorTable) -> Change | None:
    """What changed since a sidecar was made; `None` if it is of another table, or too far behind."""
    identity = table.identity()
    if not identity or identity != card.identity:
        return None
    try:
        ids = np.load(path / ROW_IDS_FILE)
    except (OSError, ValueError):
        return None
    now = table.row_ids()
    is_there = np.isin(ids, now, assume_unique=True)
    tail = np.setdiff1d(now, ids, assume_unique=True)
    n_gone = len(ids) - int(is_there.sum())
    if len(tail) + n_gone > TAIL_ROWS:
        return None
    if len(tail) and is_there.any() and tail[0] < ids[is_there][-1]:
        return None  # rows that came back by a rollback lie between the others
    return Change(is_there if n_gone else None, tail)


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
            np.load(path / VECTORS_FILE, mmap_mode=mode)
            if base_of is None
            else base_of(rows, np.load(path / ROW_IDS_FILE))
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
        return AnnIndex.load(path, card.kind, (card.n_vectors, card.dim)), _tuned(path, card.evidence)
    except (RuntimeError, OSError, ValueError) as error:
        _LOG.warning("FAISS index of %s cannot be read (%s); it is built again in memory.", path, error)
    ann = AnnIndex.build(vectors)
    return ann, None if ann.kind == "flat" else measure(vectors, ann)


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


def sidecar_folder(folder: Path, modality: Modality, table: VectorTable) -> Path | None:
    """Folder of the sidecar that serves a state; `None` if none does."""
    found = _candidates(folder, (modality,), table)
    return found[0][0] if found else None


def _changed(loaded: VectorSet, change: Change, table: VectorTable) -> VectorSet:
    if change.alive is None and not len(change.tail):
        return loaded
    item_of, n_alive = loaded.item_of, loaded.n_items
    if change.alive is not None:
        moved = np.where(change.alive, np.cumsum(change.alive) - 1, -1)
        item_of, n_alive = moved[item_of], int(change.alive.sum())
    places, tail = table.vectors(loaded.modality, change.tail) if len(change.tail) else (item_of[:0], loaded.tail)
    return VectorSet(
        loaded.modality,
        np.concatenate([item_of, n_alive + places]),
        loaded.base,
        n_alive + len(change.tail),
        loaded.open_ann,
        tail,
    )
