"""What a sidecar was derived from, and which sidecars can serve a state of the table."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from encoders.contracts import Modality, Vectors
from indexer.vectors.ann import Kind
from indexer.vectors.columns import Mask, RowIds, load_row_ids
from indexer.vectors.evidence import Evidence
from indexer.vectors.spill import Spill

_LOG = logging.getLogger(__name__)
SIDECAR_FORMAT = 3
#: More rows than this newer than the sidecar, or gone since, are worth a new sidecar.
TAIL_ROWS = 50_000
MODALITIES: tuple[Modality, ...] = ("image", "expression")
VECTORS_FILE, ROWS_FILE, CARD_FILE = "vectors.npy", "rows.npy", "sidecar.json"


class SidecarCard(BaseModel):
    """What a sidecar was derived from, and the size of its files.

    `fragments` are those of the items' table it was derived from (`indexer.store.manifests.fragments_of`); sidecars
    made before they were kept have none.
    """

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
    fragments: tuple[str, ...] = ()


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
    fragments : callable
        What the version is made of; none if that cannot be told.
    count : callable
        Number of items.
    row_ids : callable
        Row ids, ascending: all, or those larger than one.
    items : callable
        Metadata of all items, or of those of some row ids, with the row ids, ascending.
    vectors : callable
        Vectors of a modality of all items, or of those whose row ids are larger than one, a batch at a time: float32
        `(m, dim)` and the row ids of those rows.
    spill : Spill, optional
        The same vectors, if they were kept aside while they were committed.
    """

    version: int
    manifest: str
    space_revision: str
    dim: int
    identity: Callable[[], str]
    fragments: Callable[[], frozenset[str]]
    count: Callable[[], int]
    row_ids: Callable[[int | None], RowIds]
    items: Callable[[RowIds | None], tuple[pa.Table, RowIds]]
    vectors: Callable[[Modality, int | None], Iterator[tuple[Vectors, RowIds]]]
    spill: Spill | None = None

    @property
    def digest(self) -> str:
        """Digest of what decides the content of a sidecar."""
        said = f"{SIDECAR_FORMAT}\n{self.version}\n{self.manifest}\n{self.identity()}\n{self.space_revision}"
        return hashlib.sha256(said.encode()).hexdigest()


class Change(NamedTuple):
    """How the table differs from a sidecar: items still there (`None`: all), and row ids of those that came after."""

    alive: Mask | None
    tail: RowIds


_UNCHANGED = Change(None, np.empty(0, np.uint64))


def is_of_version(card: SidecarCard, table: VectorTable) -> bool:
    """Whether a sidecar was derived from this very version."""
    return (card.items_version, card.manifest, card.digest) == (table.version, table.manifest, table.digest)


def sidecar_folder(folder: Path, modality: Modality, table: VectorTable) -> Path | None:
    """Folder of the sidecar that serves a state; `None` if none does."""
    found = candidates(folder, (modality,), table)
    return found[0][0] if found else None


def candidates(
    folder: Path, modalities: tuple[Modality, ...], table: VectorTable
) -> list[tuple[Path, SidecarCard, Change]]:
    """Sidecars that can serve the table, one of its own version first, then the newest."""
    found = []
    for modality in modalities:
        for path in sorted((folder / "sidecar" / modality).glob(f"[!.]*/{CARD_FILE}")):
            try:
                card = SidecarCard.model_validate_json(path.read_text())
            except (OSError, ValidationError, UnicodeDecodeError) as error:
                _LOG.info("Sidecar %s is damaged or of another format and not used: %s", path.parent, error)
                continue
            if card.format == SIDECAR_FORMAT and card.space_revision == table.space_revision:
                found.append((path.parent, card))
    same = [one for one in found if (one[1].items_version, one[1].manifest) == (table.version, table.manifest)]
    if same and table.manifest:
        return [(path, card, _UNCHANGED) for path, card in same]
    for path, card in sorted(found, key=lambda one: -one[1].items_version):
        change = _change(path, card, table)
        if change is not None:
            return [(path, card, change)]  # an older one would only be further away
    return []


def _change(path: Path, card: SidecarCard, table: VectorTable) -> Change | None:
    """What changed since a sidecar was made; `None` if it is of another table, or too far behind."""
    identity, ids = table.identity(), _row_ids(path, card)
    if not identity or identity != card.identity or ids is None:
        return None
    grown = _growth(ids, card, table)
    if grown is not None:
        return grown if len(grown.tail) <= TAIL_ROWS else None
    now = table.row_ids(None)
    is_there = np.isin(ids, now, assume_unique=True)
    tail = np.setdiff1d(now, ids, assume_unique=True)
    n_gone = len(ids) - int(is_there.sum())
    if len(tail) + n_gone > TAIL_ROWS:
        return None
    if len(tail) and is_there.any() and tail[0] < ids[is_there][-1]:
        return None  # rows that came back by a rollback lie between the others
    return Change(is_there if n_gone else None, tail)


def _row_ids(path: Path, card: SidecarCard) -> RowIds | None:
    try:
        ids = load_row_ids(path)
    except (OSError, ValueError):
        return None
    return ids if len(ids) == card.n_items else None


def _growth(ids: RowIds, card: SidecarCard, table: VectorTable) -> Change | None:
    """What came after, where nothing of the sidecar's rows is gone, told without reading the ids of all.

    Every fragment is as it was, so all rows are there; and as many have come as have larger ids than all of these, so
    none has come between them by a rollback. `None` if that is not so.
    """
    if not card.fragments or not table.fragments().issuperset(card.fragments):
        return None
    n_new = table.count() - card.n_items
    if n_new == 0:
        return _UNCHANGED
    tail = table.row_ids(int(ids[-1]) if len(ids) else None)
    return Change(None, tail) if len(tail) == n_new else None
