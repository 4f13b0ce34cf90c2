"""Writing an index: open it, make it or mend it, then commit one slide after the other.

A commit writes the items, then the slide's row, then the card. The card names the version of every table, so readers
stay on the last commit until the card is replaced, and a killed writer leaves only versions no card names; the next
writer rolls those back. If the card itself is lost, the slides table tells which slides were finished.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pydantic import ValidationError

from indexer.card import BuildSettings, IndexCard, check_space, read_card, write_card
from indexer.errors import CardLostError, IndexFormatError, IndexMissingError, WriteError
from indexer.genes import Panel
from indexer.schema import FAILED_SCHEMA, GENES_SCHEMA
from indexer.store import TABLES, Store

KINDS = ("slide", "tile", "spot", "cell", "transcriptome")


def stored_panel(folder: Path) -> Panel | None:
    """Panel of the index in a folder, `None` if there is no index or its making was cut short.

    Raises `IndexFormatError` if the index is of another format version or damaged beyond repair.
    """
    try:
        store = Store.open(folder, read_card(folder).table_versions)
    except IndexMissingError:
        return None
    except CardLostError:
        if not all((folder / f"{table}.lance").exists() for table in TABLES):
            return None
        store = Store.open_latest(folder)
    genes = store.read("genes", GENES_SCHEMA.names)[0]
    return Panel(tuple(genes["symbol"].to_pylist()), tuple(genes["ensembl_id"].to_pylist())) if len(genes) else None


class IndexWriter:
    """The one writer of an index; hold `writer_lock` while it lives."""

    def __init__(self, folder: Path, settings: BuildSettings, store: Store) -> None:
        self.folder = folder
        self.settings = settings
        self._store = store
        columns = store.read("slides", ["slide", "content_sha256"])[0]
        #: Content digest of each committed slide.
        self.committed: dict[str, str] = dict(
            zip(columns["slide"].to_pylist(), columns["content_sha256"].to_pylist(), strict=True)
        )

    @classmethod
    def open(cls, folder: Path, settings: BuildSettings, panel: Panel) -> "IndexWriter":
        """Open the index in a folder for writing; make it if there is none, mend it if a build was killed.

        Raises
        ------
        SpaceMismatchError
            If it lives in another space or revision.
        WriteError
            If it has another panel or tiling, or cannot be written.
        IndexFormatError
            If it is damaged beyond what can be derived again.
        """
        try:
            card = read_card(folder)
        except (IndexMissingError, CardLostError):
            writer = cls._make_or_mend(folder, settings, panel)
        else:
            _check_settings(folder, card, settings)
            Store.open_latest(folder).roll_back(card.table_versions)
            writer = cls(folder, settings, Store.open_latest(folder))
        writer.write_card()
        return writer

    @classmethod
    def _make_or_mend(cls, folder: Path, settings: BuildSettings, panel: Panel) -> "IndexWriter":
        described = settings.model_dump_json()
        store = Store.create(folder, settings.space.dim, described)
        if store.count("genes") == 0:  # the making was cut short before anything could be committed
            if store.count("slides"):
                raise IndexFormatError(
                    f"Index {folder} has slides, but its gene panel and its card are lost. Put table genes back from a "
                    "backup, or delete the folder and ingest the data again."
                )
            if store.settings != described:
                store = Store.create(folder, settings.space.dim, described, overwrite=True)
            store.append("genes", [pa.table([panel.symbols, panel.ensembl_ids], schema=GENES_SCHEMA)])
        try:
            made_with = BuildSettings.model_validate_json(store.settings)
        except ValidationError as error:
            raise IndexFormatError(
                f"Index {folder} does not say what it was built with. Delete it and ingest the data again."
            ) from error
        _check_settings(folder, made_with, settings)
        # Without a card only slides that are in both tables are known to be whole.
        of_table = {name: set(store.read(name, ["slide"])[0]["slide"].to_pylist()) for name in ("items", "slides")}
        for slide in sorted(of_table["items"] ^ of_table["slides"]):
            store.delete_slide("slides", slide)
            store.delete_slide("items", slide)
        return cls(folder, settings, store)

    def commit(self, items: Sequence[pa.Table], slide: pa.Table) -> None:
        """Write a slide in place of what the index had of it; raises `WriteError`, and then that still stands."""
        name = str(slide["slide"][0])
        # The slide's row goes first and comes last, so that even without a card no half-written slide counts as done.
        self._store.delete_slide("slides", name)
        self._store.delete_slide("items", name)
        self._store.append("items", items)
        self._store.append("slides", [slide])
        self._store.delete_slide("failed_items", name)
        self.write_card()
        self.committed[name] = str(slide["content_sha256"][0])

    def commit_failure(self, slide: str, error: str, reason: str) -> None:
        """Note that a slide could not be ingested; what the index had of it stays."""
        failure = {"slide": slide, "error": error, "reason": reason}
        known, _ = self._store.read("failed_items", FAILED_SCHEMA.names)
        if failure in known.to_pylist():
            return
        self._store.delete_slide("failed_items", slide)
        self._store.append("failed_items", [pa.Table.from_pylist([failure], schema=FAILED_SCHEMA)])
        self.write_card()

    def forget_failure(self, slide: str) -> None:
        """Take back the note of a failure, of a slide that is committed after all."""
        if slide in self._store.read("failed_items", ["slide"])[0]["slide"].to_pylist():
            self._store.delete_slide("failed_items", slide)
            self.write_card()

    def write_card(self) -> None:
        """Commit the tables as they are now."""
        counts = {kind: self._store.count("items", f"kind = '{kind}'") for kind in KINDS}
        card = IndexCard(
            **dict(self.settings),
            counts={kind: n for kind, n in counts.items() if n},
            n_slides=self._store.count("slides"),
            n_failed=self._store.count("failed_items"),
            n_genes=self._store.count("genes"),
            table_versions=self._store.versions,
        )
        write_card(self.folder, card)


def _check_settings(folder: Path, found: BuildSettings, wanted: BuildSettings) -> None:
    check_space(found.space, wanted.space)
    if found.panel_sha256 != wanted.panel_sha256:
        raise WriteError(
            f"Index {folder} stores another gene panel (digest {found.panel_sha256[:12]}) than the one given "
            f"({wanted.panel_sha256[:12]}). Leave the panel out to keep the index's own, or ingest into a new index."
        )
    if (found.tiling, found.thumbnails) != (wanted.tiling, wanted.thumbnails):
        raise WriteError(
            f"Index {folder} was built with tiles of {found.tiling.side_um:g} um every {found.tiling.stride_um:g} um "
            f"(thumbnails: {found.thumbnails}); got {wanted.tiling.side_um:g} um every {wanted.tiling.stride_um:g} um "
            f"(thumbnails: {wanted.thumbnails}). Use the same, or ingest into a new index."
        )
