"""Writing an index: open it, make it or mend it, then commit one change after the other.

A commit of a slide writes the items, then the slide's row, then the card. The card names the version of every table, so
readers stay on the last commit until the card is replaced, and a killed writer leaves only versions no card names; the
next writer rolls those back. If the card itself is lost, the slides table tells which slides were finished.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa
from pydantic import ValidationError

from indexer.errors import CardLostError, IndexFormatError, IndexMissingError, WriteError
from indexer.genes.panel import Panel
from indexer.schema import FAILED_SCHEMA, FORMAT_VERSION, GENES_SCHEMA
from indexer.store.card import BuildSettings, IndexCard, check_space, read_card, write_card
from indexer.store.location import Bucket, Location
from indexer.store.manifests import described, read_manifest
from indexer.store.tables import TABLES, Store
from indexer.store.versions import keep_card, newest_number
from indexer.store.written import REMEMBERED_BYTES, remember

KINDS = ("slide", "tile", "spot", "cell", "transcriptome")


def stored_panel(location: Location) -> Panel | None:
    """Panel of an index, `None` if there is no index or its making was cut short.

    Raises `IndexFormatError` if the index is of another format version or damaged beyond repair.
    """
    try:
        store = Store.open(location, read_card(location).table_versions)
    except IndexMissingError:
        return None
    except CardLostError:
        if not {f"{table}.lance" for table in TABLES} <= set(location.names()):
            return None
        store = Store.open_latest(location)
    genes = store.read("genes", GENES_SCHEMA.names)[0]
    return Panel(tuple(genes["symbol"].to_pylist()), tuple(genes["ensembl_id"].to_pylist())) if len(genes) else None


class IndexWriter:
    """The one writer of an index; hold `writer_lock` while it lives."""

    def __init__(self, location: Location, settings: BuildSettings, store: Store, card: IndexCard | None) -> None:
        self.location = location
        self.settings = settings
        self.store = store
        self._card = card
        columns = store.read("slides", ["slide", "content_sha256"])[0]
        #: Content digest of each committed slide.
        self.committed: dict[str, str] = dict(
            zip(columns["slide"].to_pylist(), columns["content_sha256"].to_pylist(), strict=True)
        )
        any_failed = card is None or card.n_failed > 0
        failures = store.read("failed_items", FAILED_SCHEMA.names)[0].to_pylist() if any_failed else []
        self._failures = {row["slide"]: row for row in failures}
        self._n_genes = store.count("genes") if card is None else card.n_genes
        counts = {kind: store.count("items", f"kind = '{kind}'") for kind in KINDS} if card is None else card.counts
        self._counts = Counter(counts)

    @classmethod
    def open(cls, location: Location, settings: BuildSettings, panel: Panel) -> "IndexWriter":
        """Open an index for writing; make it if there is none, mend it if a writer was killed.

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
            card = read_card(location)
        except (IndexMissingError, CardLostError):
            writer = cls._make_or_mend(location, settings, panel)
            writer.write_card("put together again from its tables" if writer.committed else "made")
            return writer
        _check_settings(location, card, settings)
        writer = cls._resume(location, card)
        writer.check_data_files()
        return writer

    @classmethod
    def resume(cls, location: Location) -> "IndexWriter":
        """Open an index that exists with its own settings; raises `StoreError` if it does not, or is damaged."""
        return cls._resume(location, read_card(location))

    @classmethod
    def restore(cls, location: Location, past: IndexCard) -> IndexCard:
        """Commit the tables of a version of the past, and return the new card."""
        present = read_card(location)
        store = Store.open_latest(location)
        store.roll_back(past.table_versions)
        settings = BuildSettings(**{name: getattr(past, name) for name in BuildSettings.model_fields})
        writer = cls(location, settings, Store.open_latest(location), past)
        writer._card = present
        writer.write_card(f"rolled back to version {past.version}")
        return writer.card

    @classmethod
    def _resume(cls, location: Location, card: IndexCard) -> "IndexWriter":
        store = Store.open_latest(location)
        if store.versions != card.table_versions:
            store.roll_back(card.table_versions)
            store = Store.open_latest(location)
        settings = BuildSettings(**{name: getattr(card, name) for name in BuildSettings.model_fields})
        writer = cls(location, settings, store, card)
        if writer.store.versions != card.table_versions:
            writer.write_card("took back what a killed writer had left")
        return writer

    @classmethod
    def _make_or_mend(cls, location: Location, settings: BuildSettings, panel: Panel) -> "IndexWriter":
        described = settings.model_dump_json()
        store = Store.create(location, settings.space.dim, described)
        if store.count("genes") == 0:  # the making was cut short before anything could be committed
            if store.count("slides"):
                raise IndexFormatError(
                    f"Index {location} has slides, but its gene panel and its card are lost. Put table genes back from "
                    "a backup, or delete the folder and ingest the data again."
                )
            if store.settings != described:
                store = Store.create(location, settings.space.dim, described, overwrite=True)
            store.append("genes", [pa.table([panel.symbols, panel.ensembl_ids], schema=GENES_SCHEMA)])
        try:
            made_with = BuildSettings.model_validate_json(store.settings)
        except ValidationError as error:
            raise IndexFormatError(
                f"Index {location} does not say what it was built with. Delete it and ingest the data again."
            ) from error
        _check_settings(location, made_with, settings)
        # Without a card only slides that are in both tables are known to be whole.
        of_table = {name: set(store.read(name, ["slide"])[0]["slide"].to_pylist()) for name in ("items", "slides")}
        for slide in sorted(of_table["items"] ^ of_table["slides"]):
            store.delete_slide("slides", slide)
            store.delete_slide("items", slide)
        return cls(location, settings, store, None)

    @property
    def failed(self) -> frozenset[str]:
        """Slides that are noted as failed."""
        return frozenset(self._failures)

    @property
    def card(self) -> IndexCard:
        """The card that was committed last; every writer starts with one."""
        if self._card is None:
            raise WriteError(f"Index {self.location} has no card yet.")
        return self._card

    def commit(self, items: Sequence[pa.Table], slides: pa.Table) -> None:
        """Write slides in place of what the index had of them; raises `WriteError`, and then that still stands."""
        names = [str(name) for name in slides["slide"].to_pylist()]
        replaced = [name for name in names if name in self.committed]
        # The slides' rows go first and come last, so that even without a card no half-written slide counts as done.
        for name in names:
            self._take_out(name)
        before = self._items_manifest()
        self.store.append("items", items)
        self.store.append("slides", [slides])
        for name in names:
            self._drop_failure(name)
        for part in items:
            self._counts.update({row["values"]: row["counts"] for row in part["kind"].value_counts().to_pylist()})
        self.committed.update(zip(names, slides["content_sha256"].to_pylist(), strict=True))
        what = f"slide {names[0]}" if len(names) == 1 else f"{len(names)} slides from {names[0]} to {names[-1]}"
        self.write_card(f"{what} {'replaced' if replaced else 'added'}")
        if before and sum(part.nbytes for part in items) < REMEMBERED_BYTES:
            remember(before, self._items_manifest(), items)

    def commit_removal(self, slides: Sequence[str]) -> None:
        """Take slides out in one commit, with their notes of failure; raises `WriteError` if one is not there."""
        if missing := [slide for slide in slides if slide not in self.committed and slide not in self._failures]:
            raise WriteError(
                f"Index {self.location} has no slide {', '.join(missing)}; nothing was deleted. "
                "`histoseek index stats` lists its slides."
            )
        names = list(dict.fromkeys(slides))
        for slide in names:
            self._take_out(slide)
            self._drop_failure(slide)
        self.write_card(
            "deleted " + (", ".join(names) if len(names) < 4 else f"{len(names)} slides from {names[0]} on")
        )

    def commit_failure(self, slide: str, error: str, reason: str) -> None:
        """Note that a slide could not be ingested; what the index had of it stays."""
        self.commit_failures([(slide, error, reason)])

    def commit_failures(self, failures: Sequence[tuple[str, str, str]]) -> None:
        """Note slides that could not be ingested, with class and sentence of the error, in one commit."""
        rows = [dict(zip(FAILED_SCHEMA.names, failure, strict=True)) for failure in failures]
        new = {row["slide"]: row for row in rows if self._failures.get(row["slide"]) != row}
        if not new:
            return
        for slide in new:
            self._drop_failure(slide)
        self.store.append("failed_items", [pa.Table.from_pylist(list(new.values()), schema=FAILED_SCHEMA)])
        self._failures |= new
        self.write_card(f"slide {next(iter(new))} failed" if len(new) == 1 else f"{len(new)} slides failed")

    def forget_failure(self, slide: str) -> None:
        """Take back the note of a failure, of a slide that is committed after all."""
        self.forget_failures([slide])

    def forget_failures(self, slides: Sequence[str]) -> None:
        """Take back the notes of failures in one commit, of slides that are committed after all."""
        noted = [slide for slide in slides if slide in self._failures]
        for slide in noted:
            self._drop_failure(slide)
        if noted:
            named = f"slide {noted[0]}" if len(noted) == 1 else f"{len(noted)} slides"
            self.write_card(f"{named} no longer fail{'s' if len(noted) == 1 else ''}")

    def next_card(self, change: str) -> IndexCard:
        """Card of the tables as they are now, not yet committed."""
        number = newest_number(self.location) if self._card is None else self._card.version
        return IndexCard(
            **dict(self.settings),
            format_version=FORMAT_VERSION,
            version=number + 1,
            committed_at=datetime.now(UTC).isoformat(timespec="seconds"),
            change=change,
            counts={kind: self._counts[kind] for kind in KINDS if self._counts[kind]},
            n_slides=len(self.committed),
            n_failed=len(self._failures),
            n_genes=self._n_genes,
            table_versions=self.store.versions,
        )

    def write_card(self, change: str) -> None:
        """Commit the tables as they are now."""
        if self._card is not None and self._card.version == 0:
            keep_card(self.location, self._card)  # a format that kept no history
        card = self.next_card(change)
        write_card(self.location, card)
        self._card = card

    def check_data_files(self) -> None:
        """Raise `IndexFormatError` if a file of the items is missing or cut short, before more is added."""
        fragments = described(self._items_manifest())
        if not fragments:
            self.store.count("items", "kind = 'slide'")  # opens every data file
        for fragment in fragments.values():
            self.store.check_files("items", fragment.files)

    def _items_manifest(self) -> bytes:
        """Manifest of the items as they are now; empty in a bucket, where asking takes longer than reading back."""
        if isinstance(self.location, Bucket):
            return b""
        return read_manifest(self.location, "items", self.store.versions["items"])

    def _take_out(self, slide: str) -> None:
        if slide not in self.committed:
            return
        self._counts.subtract(self.store.kinds_of(slide))
        self.store.delete_slide("slides", slide)
        self.store.delete_slide("items", slide)
        del self.committed[slide]

    def _drop_failure(self, slide: str) -> None:
        if self._failures.pop(slide, None) is not None:
            self.store.delete_slide("failed_items", slide)


def _check_settings(location: Location, found: BuildSettings, wanted: BuildSettings) -> None:
    check_space(found.space, wanted.space)
    if found.panel_sha256 != wanted.panel_sha256:
        raise WriteError(
            f"Index {location} stores another gene panel (digest {found.panel_sha256[:12]}) than the one given "
            f"({wanted.panel_sha256[:12]}). Leave the panel out to keep the index's own, or ingest into a new index."
        )
    if (found.tiling, found.thumbnails) != (wanted.tiling, wanted.thumbnails):
        raise WriteError(
            f"Index {location} was built with tiles of {found.tiling.side_um:g} um every {found.tiling.stride_um:g} um "
            f"(thumbnails: {found.thumbnails}); got {wanted.tiling.side_um:g} um every {wanted.tiling.stride_um:g} um "
            f"(thumbnails: {wanted.thumbnails}). Use the same, or ingest into a new index."
        )
    if found.aggregator != wanted.aggregator:
        raise WriteError(
            f"Index {location} describes whole slides by {found.aggregator!r}, not by {wanted.aggregator!r}. Leave the "
            "aggregator out to keep the index's own, or ingest into a new index."
        )
