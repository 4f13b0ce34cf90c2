"""The derived vector files of one modality: a float32 matrix to map into memory and a FAISS index over it.

A sidecar lies in `sidecar/<modality>/<digest>/` and never changes: it is written beside and renamed into place. The
digest covers the ids it holds, in order, and the content of their slides; a sidecar whose digest is not that of the
first rows of the table is not used. Rows after those it holds are read from the table. What cannot be used is built
again, on disk where the folder may be written, else in memory.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from encoders.contracts import Modality, Vectors
from indexer.ann import AnnIndex, Kind, faiss_version
from indexer.errors import SidecarError, WriteError
from indexer.vectors import VectorSet

_LOG = logging.getLogger(__name__)
SIDECAR_FORMAT = 1
MODALITIES: tuple[Modality, ...] = ("image", "expression")
#: A longer tail of rows newer than the sidecar is worth a new sidecar.
TAIL_ROWS = 5_000
_VECTORS, _ROWS, _ANN, _CARD = "vectors.npy", "rows.npy", "index.faiss", "sidecar.json"

Rows = npt.NDArray[np.int64]


class SidecarCard(BaseModel):
    """What a sidecar was derived from, and the size of its files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    modality: Modality
    items_version: int
    n_items: int
    n_vectors: int
    dim: int
    digest: str
    space_revision: str
    kind: Kind
    faiss_version: str
    file_bytes: dict[str, int]


@dataclass(frozen=True, slots=True)
class VectorTable:
    """The truth a sidecar is derived from: one committed version of the `items` table.

    Attributes
    ----------
    n_items : int
        Rows of the table.
    version : int
        Version of the table.
    space_revision : str
        Revision of the space the vectors live in.
    digest_of : callable
        Digest of the first `n` rows.
    read : callable
        Rows from `start` on that have a vector of a modality: row numbers int64 `(m,)` and float32 `(m, dim)`.
    """

    n_items: int
    version: int
    space_revision: str
    digest_of: Callable[[int], str]
    read: Callable[[Modality, int], tuple[Rows, Vectors]]


def rows_digest(ids: Sequence[str], slides: Sequence[str], content: Mapping[str, str]) -> str:
    """SHA-256 of item ids in order and of the content digest of each slide they belong to."""
    digest = hashlib.sha256("\n".join(ids).encode())
    for slide in dict.fromkeys(slides):
        digest.update(f"\n\n{slide}\n{content.get(slide, '')}".encode())
    return digest.hexdigest()


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
    fitting = _newest_fitting(folder / "sidecar" / modality, table)
    if fitting is not None:
        path, card = fitting
        try:
            return _with_tail(_load(path, card, table.n_items), card, table)
        except SidecarError as error:
            _LOG.warning("%s It is built again from the table.", error)
    try:
        return write_sidecar(folder, modality, table)
    except WriteError as error:
        _LOG.warning("%s The vectors are kept in memory for now.", error)
    rows, vectors = table.read(modality, 0)
    return VectorSet(modality, rows, vectors, table.n_items, lambda: AnnIndex.build(vectors))


def write_sidecar(folder: Path, modality: Modality, table: VectorTable) -> VectorSet:
    """Derive the sidecar of the table's rows and put it in place in one step; raises `WriteError`."""
    digest = table.digest_of(table.n_items)
    path = folder / "sidecar" / modality / digest[:16]
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    rows, vectors = table.read(modality, 0)
    try:
        partial.mkdir(parents=True, exist_ok=True)
        kind = _write_arrays(partial, rows, vectors)
        card = SidecarCard(
            format=SIDECAR_FORMAT,
            modality=modality,
            items_version=table.version,
            n_items=table.n_items,
            n_vectors=len(rows),
            dim=vectors.shape[1],
            digest=digest,
            space_revision=table.space_revision,
            kind=kind,
            faiss_version=faiss_version(),
            file_bytes={name: (partial / name).stat().st_size for name in (_VECTORS, _ROWS, _ANN)},
        )
        (partial / _CARD).write_text(card.model_dump_json(indent=1))
        if path.exists():  # one that was refused
            shutil.rmtree(path)
        partial.rename(path)
    except (OSError, RuntimeError) as error:  # FAISS reports a failed write as RuntimeError
        shutil.rmtree(partial, ignore_errors=True)
        raise WriteError(
            f"The vector sidecar {path} could not be written: {error}. The rows themselves are committed; free some "
            "space or mend the permissions and open the index again."
        ) from error
    return _load(path, card, table.n_items)


def refresh_sidecar(folder: Path, modality: Modality, table: VectorTable) -> None:
    """Bring the sidecar up to date and remove old ones; only the writer of an index may. Raises `WriteError`."""
    digest = table.digest_of(table.n_items)
    if not _is_whole(_newest_fitting(folder / "sidecar" / modality, table), table):
        write_sidecar(folder, modality, table)
    for path in (folder / "sidecar" / modality).iterdir():
        if path.name != digest[:16]:
            shutil.rmtree(path, ignore_errors=True)


def _is_whole(fitting: tuple[Path, SidecarCard] | None, table: VectorTable) -> bool:
    if fitting is None or fitting[1].n_items != table.n_items:
        return False
    try:
        _load(*fitting, table.n_items)
    except SidecarError as error:
        _LOG.warning("%s It is built again from the table.", error)
        return False
    return True


def _write_arrays(partial: Path, rows: Rows, vectors: Vectors) -> Kind:
    np.save(partial / _VECTORS, vectors)
    np.save(partial / _ROWS, rows)
    ann = AnnIndex.build(vectors)
    ann.save(partial / _ANN)
    return ann.kind


def _newest_fitting(folder: Path, table: VectorTable) -> tuple[Path, SidecarCard] | None:
    fitting = []
    for path in sorted(folder.glob(f"[!.]*/{_CARD}")):
        try:
            card = SidecarCard.model_validate_json(path.read_text())
        except (OSError, ValidationError, UnicodeDecodeError) as error:
            _LOG.warning("Sidecar %s is damaged and not used: %s", path.parent, error)
            continue
        if _fits(card, table):
            fitting.append((card.n_items, path.parent, card))
    if not fitting:
        return None
    _, path, card = max(fitting, key=lambda found: found[0])
    return path, card


def _fits(card: SidecarCard, table: VectorTable) -> bool:
    return (
        card.format == SIDECAR_FORMAT
        and card.space_revision == table.space_revision
        and 0 <= table.n_items - card.n_items <= TAIL_ROWS
        and card.digest == table.digest_of(card.n_items)
    )


def _load(path: Path, card: SidecarCard, n_items: int) -> VectorSet:
    for name, size in card.file_bytes.items():
        found = (path / name).stat().st_size if (path / name).exists() else 0
        if found != size:
            raise SidecarError(f"Sidecar file {path / name} has {found:,} bytes; expected {size:,}.")
    try:
        rows = np.load(path / _ROWS)
        # A map of an empty array is refused by the system.
        vectors = np.load(path / _VECTORS, mmap_mode="r" if card.n_vectors else None)
    except (OSError, ValueError) as error:
        raise SidecarError(f"Sidecar {path} cannot be read: {error}.") from error
    if rows.shape != (card.n_vectors,) or vectors.shape != (card.n_vectors, card.dim):
        raise SidecarError(
            f"Sidecar {path} holds {rows.shape} rows and {vectors.shape} vectors; expected {card.n_vectors:,} of "
            f"{card.dim} dims."
        )
    return VectorSet(card.modality, rows, vectors, n_items, lambda: _open_ann(path, card, vectors))


def _open_ann(path: Path, card: SidecarCard, vectors: Vectors) -> AnnIndex:
    try:
        ann = AnnIndex.load(path / _ANN, card.kind)
    except RuntimeError as error:
        _LOG.warning("FAISS index %s cannot be read (%s); it is built again in memory.", path / _ANN, error)
        return AnnIndex.build(vectors)
    if (ann.n_rows, ann.dim) != vectors.shape:
        _LOG.warning("FAISS index %s holds %d rows; it is built again in memory.", path / _ANN, ann.n_rows)
        return AnnIndex.build(vectors)
    return ann


def _with_tail(loaded: VectorSet, card: SidecarCard, table: VectorTable) -> VectorSet:
    if card.n_items == table.n_items:
        return loaded
    rows, vectors = table.read(card.modality, card.n_items)
    return VectorSet(
        card.modality,
        np.concatenate([loaded.rows, rows]),
        np.concatenate([loaded.vectors, vectors]),
        table.n_items,
        loaded.open_ann,
    )
