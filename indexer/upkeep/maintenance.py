"""Keeping an index fast and small: fold small data files and the newest rows in, let go of old versions.

Readers go on meanwhile: nothing that a kept version needs is removed, and the new state is one commit like any other.
"""

import logging
import shutil
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from pydantic import ValidationError

from encoders.contracts import Modality
from indexer.index import Index
from indexer.progress import Progress, Silent
from indexer.store.card import CARD_NAME, HISTORY, IndexCard, card_name
from indexer.store.lance_index import has_lance_index
from indexer.store.location import AGGREGATES, SIDECAR, Location, locate
from indexer.store.locks import writer_lock
from indexer.store.opening import exceeds_memory
from indexer.store.tables import TABLES, Store
from indexer.store.versions import history, read_tags, version_numbers
from indexer.store.writer import IndexWriter
from indexer.vectors.sidecar import refresh_sidecar
from indexer.vectors.sidecar_card import MODALITIES, TAIL_ROWS, SidecarCard
from indexer.vectors.spill import Spill

_LOG = logging.getLogger(__name__)
#: A version that was the present one within this time is kept: a reader may still have it open.
KEEP = timedelta(hours=24)
#: A write leaves sidecars as they are that are behind by a smaller share of the items, if there are many.
TOLERATED = 0.05
ALWAYS_FOLDED_ITEMS = 20_000
#: Data files of the items from which a writer is told of `optimize`: each takes about half a millisecond to read.
MANY_FILES = 500
#: Rows after which a long run of commits brings the sidecars up to date, before readers would have to.
FOLDED_EVERY = TAIL_ROWS * 4 // 5


@dataclass(frozen=True, slots=True)
class OptimizeReport:
    """What `optimize_index` did.

    Attributes
    ----------
    version : int
        The version of the index now.
    fragments_before, fragments_after : int
        Data files of the four tables.
    versions_kept, versions_removed : tuple of int
        Versions of the index that can be opened, and those that no longer can.
    bytes_before, bytes_after : int
        Size on the disk; 0 in a bucket, where it is not counted.
    seconds : float
        Time it took.
    """

    version: int
    fragments_before: int
    fragments_after: int
    versions_kept: tuple[int, ...]
    versions_removed: tuple[int, ...]
    bytes_before: int
    bytes_after: int
    seconds: float


def optimize_index(
    uri: str | Path, *, keep: timedelta = KEEP, wait_s: float = 0.0, progress: Progress | None = None
) -> OptimizeReport:
    """Fold small data files and rows newer than the sidecars in, then let go of versions that are old and untagged.

    Parameters
    ----------
    uri : str or Path
        The index.
    keep : timedelta
        Versions that were the present one within this time are kept, and those with a tag for ever.
    wait_s : float
        Seconds to wait for another writer to end.
    progress : Progress, optional
        Is told of every advance.

    Raises
    ------
    WriteError
        If the index is being written, or cannot be; what is committed is intact.
    StoreError
        If there is no index, or it is damaged.
    """
    location, watch, start = locate(uri), progress or Silent(), time.monotonic()
    with writer_lock(location, wait_s=wait_s):
        writer = IndexWriter.resume(location)
        bytes_before, fragments_before = bytes_of(location), sum(writer.store.fragments.values())
        watch.update("compact", 0, 1, "")
        writer.store.compact()
        watch.update("compact", 1, 1, "")
        if writer.store.versions != writer.card.table_versions:
            card = writer.next_card("optimized")
            # The sidecars come first, so that no reader finds rows moved that its sidecar does not know.
            refresh_sidecars(Index(location, card, writer.store), watch)
            writer.write_card("optimized")
        else:
            refresh_sidecars(Index.open(location), watch)
        removed = forget_old_versions(location, writer, keep)
        return OptimizeReport(
            version=writer.card.version,
            fragments_before=fragments_before,
            fragments_after=sum(writer.store.fragments.values()),
            versions_kept=tuple(card.version for card in history(location)),
            versions_removed=removed,
            bytes_before=bytes_before,
            bytes_after=bytes_of(location),
            seconds=time.monotonic() - start,
        )


def refresh_sidecars(index: Index, progress: Progress, *, tolerated: float = 0.0, spill: Spill | None = None) -> None:
    """Bring the sidecars up to the state of `index`; only the writer may. Raises `WriteError`.

    One that is behind by no more than a share `tolerated` of the items stays: its rows are searched, and the few new
    ones beside it. Vectors that were kept aside are not read again.
    """
    if exceeds_memory(sum(index.card.counts.values()), index.card.space.dim) and has_lance_index(index.store):
        _LOG.warning(
            "The vectors of %s are more than half of this machine's memory, so its sidecars stay as they are; where "
            "none fits, LanceDB's own index is searched.",
            index.location,
        )
        return
    index.location.fetch_sidecars()
    for done, modality in enumerate(MODALITIES):
        progress.update("sidecar", done, len(MODALITIES), "")
        refresh_sidecar(index.folder, modality, replace(index.vector_table(), spill=spill), tolerated=tolerated)
    progress.update("sidecar", len(MODALITIES), len(MODALITIES), "")
    index.location.store_sidecars()


def refresh_after_writing(index: Index, progress: Progress, spill: Spill | None = None) -> None:
    """Bring the sidecars up to date where that is quick or due, and remove those that no kept version needs.

    Warns where the rows have come to lie in many small files.
    """
    n_files = len(index.vector_table().fragments())
    if n_files >= MANY_FILES:
        _LOG.warning(
            "The rows of %s lie in %d files of as many commits, which slows every opening. Run `histoseek index "
            "optimize` on it: it folds them together and lets go of versions replaced more than %d hours ago.",
            index.location,
            n_files,
            KEEP.total_seconds() // 3600,
        )
    n_items = sum(index.card.counts.values())
    tolerated = TOLERATED if n_items > ALWAYS_FOLDED_ITEMS else 0.0
    refresh_sidecars(index, progress, tolerated=tolerated, spill=spill)
    if any(len(_sidecar_folders(index.location, modality)) > 1 for modality in MODALITIES):
        kept = kept_cards(index.location, KEEP)  # reads a card for each version there is
        remove_sidecars(index.location, {card.table_versions["items"] for card in kept.values()})


class Folding:
    """Brings the sidecars up to date during a long run of commits, so that readers never have too many rows beside."""

    def __init__(self, n_items: int, progress: Progress) -> None:
        self._progress = progress
        self._n_new = 0
        # A new index is filled before it is asked much: its sidecars are written once, at the end.
        self._is_served = n_items > ALWAYS_FOLDED_ITEMS

    def after_commit(self, location: Location, n_rows: int) -> None:
        """Fold in if many rows were committed since the last time; only the writer may."""
        self._n_new += n_rows
        if self._is_served and self._n_new > FOLDED_EVERY:
            refresh_after_writing(Index.open(location), self._progress)
            self._n_new = 0


def forget_old_versions(location: Location, writer: IndexWriter, keep: timedelta) -> tuple[int, ...]:
    """Let go of versions that are old and untagged: their cards first, then what only they used."""
    kept = kept_cards(location, keep)
    gone = tuple(number for number in version_numbers(location) if number not in kept)
    for version in gone:
        location.remove(card_name(version))
    needed = {table: {card.table_versions[table] for card in kept.values()} for table in TABLES}
    writer.store.forget_versions(needed)
    remove_sidecars(location, needed["items"])
    _remove_aggregates(location, list(kept.values()))
    for folder in ("", HISTORY):  # files whose writing was killed
        for name in location.names(folder):
            if name.endswith(".part"):
                location.remove(f"{folder}/{name}".lstrip("/"))
    return gone


def _remove_aggregates(location: Location, kept: Sequence[IndexCard]) -> None:
    """Remove what stood for slides that no kept version has."""
    names = set(location.names(AGGREGATES))
    if not names:
        return
    of_version = {card.table_versions["slides"]: card for card in kept}
    for card in of_version.values():
        slides = Store.open(location, card.table_versions).read("slides", ["content_sha256"])[0]
        names -= {f"{digest}.safetensors" for digest in slides["content_sha256"].to_pylist()}
    for name in names:
        location.remove(f"{AGGREGATES}/{name}")


def kept_cards(location: Location, keep: timedelta) -> dict[int, IndexCard]:
    """Cards of the versions to keep: the present one, those with a tag, those replaced within `keep`."""
    return kept_versions(history(location), read_tags(location).values(), datetime.now(UTC) - keep)


def kept_versions(cards: Sequence[IndexCard], tagged: Collection[int], since: datetime) -> dict[int, IndexCard]:
    """Cards to keep by number: the last one, those with a tag, those that another replaced after `since`."""
    kept = {cards[-1].version: cards[-1]}
    for card, successor in pairwise(cards):
        if card.version in tagged or datetime.fromisoformat(successor.committed_at) > since:
            kept[card.version] = card
    return kept


def remove_sidecars(location: Location, items_versions: Collection[int]) -> None:
    """Remove the sidecars that serve none of some versions of the items: each is served by the newest not after it."""
    for modality in MODALITIES:
        found = {path: _items_version(path) for path in _sidecar_folders(location, modality)}
        serving = {
            max((path for path, made in found.items() if 0 <= made <= version), key=lambda p: found[p], default=None)
            for version in items_versions
        }
        for path in found.keys() - serving:
            shutil.rmtree(path, ignore_errors=True)
    location.store_sidecars()


def _sidecar_folders(location: Location, modality: Modality) -> list[Path]:
    return [path for path in (location.folder / SIDECAR / modality).glob("*") if path.is_dir()]


def bytes_of(location: Location) -> int:
    """Size of an index on the disk; 0 in a bucket."""
    folder = location.folder
    if not (folder / CARD_NAME).exists():
        return 0
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _items_version(path: Path) -> int:
    try:
        return SidecarCard.model_validate_json((path / "sidecar.json").read_text()).items_version
    except (OSError, ValidationError, UnicodeDecodeError):
        return -1  # damaged, or the leftover of a kill
