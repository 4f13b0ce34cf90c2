"""Writes the record of a run while it goes on, so that a run that is killed has left one."""

import logging
import os
import platform
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Self

from encoders.space import SpaceCard
from indexer.errors import StoreError
from indexer.runs.next_steps import next_step
from indexer.runs.reading import is_alive, read_run, run_ids
from indexer.runs.record import (
    RECORD,
    RUNS,
    SUMMARY,
    GeneRecord,
    LicenceRecord,
    Outcome,
    RunRecord,
    SlideRecord,
    add_genes,
    new_id,
    space_facts,
)
from indexer.runs.summary import summary_text
from indexer.slides import SlideFacts
from indexer.store.location import Location

_LOG = logging.getLogger(__name__)
#: Libraries that decide what is read, encoded and stored.
_PACKAGES = (
    "histoseek",
    "torch",
    "timm",
    "openvino",
    "lancedb",
    "faiss-cpu",
    "faiss-gpu",
    "openslide-python",
    "tifffile",
)
#: The record is written anew when this many times as long has passed as writing it takes: at most 1/21 of the time.
_REST = 20
#: Runs of the past that are looked at for one that was killed.
_N_LOOKED_AT = 20


class RunRecorder:
    """Keeps the record of one run; use it as a context manager, holding the lock of the index.

    The files are replaced in one step as slides finish, so that they are whole at any moment. A disk that is full or
    may not be written ends the keeping of the record, never the run.

    Parameters
    ----------
    location : Location
        The index.
    space : SpaceCard
        The space it lives in.
    n_asked : int
        Slides given to the run.
    asked : mapping of str to str, optional
        What was asked.
    redact : callable, optional
        Takes identifiers out of sentences before they are kept.
    keep_others : bool
        Whether other runs of this index may be going on, of other shards.
    """

    def __init__(
        self,
        location: Location,
        space: SpaceCard,
        n_asked: int,
        asked: Mapping[str, str] | None = None,
        redact: Callable[[str], str] | None = None,
        *,
        keep_others: bool = False,
    ) -> None:
        self._location = location
        self._redact = redact or str
        self._keep_others = keep_others
        self._cost_s, self._written_at = 0.0, 0.0
        self._licences: dict[tuple[str, str], LicenceRecord] = {}
        now = _now()
        self.record = RunRecord(
            id=new_id(),
            started_at=now,
            updated_at=now,
            pid=os.getpid(),
            host=socket.gethostname(),
            asked=dict(asked or {}),
            versions=_versions(),
            space=space_facts(space),
            n_asked=n_asked,
        )

    def __enter__(self) -> Self:
        """Close the records of runs that were killed, and start this one."""
        close_killed(self._location, keep_others=self._keep_others)
        self._write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the end of the run: finished, or stopped by an error or the user."""
        if error is None:
            self.record.state = "finished"
        else:
            self.record.state = "stopped"
            self.record.error = self._redact(str(error) or type(error).__name__)
        self._write()

    def slide(
        self,
        slide: str,
        outcome: Outcome,
        facts: SlideFacts | None = None,
        *,
        n_tiles: int = 0,
        n_items: int = 0,
        seconds: Mapping[str, float] | None = None,
        left_out: Mapping[str, int] | None = None,
        genes: GeneRecord | None = None,
    ) -> None:
        """Note that a slide was added, replaced or skipped."""
        self._add(
            SlideRecord(
                slide=slide,
                outcome=outcome,
                n_tiles=n_tiles,
                n_items=n_items,
                seconds=dict(seconds or {}),
                left_out=dict(left_out or {}),
            )
        )
        if genes is not None:
            add_genes(self.record.genes, genes, [slide])
        if facts is not None:
            self._add_licence(facts)
        self._keep_up()

    def failure(self, slide: str, error: str, reason: str) -> None:
        """Note that a slide could not be ingested."""
        told = SlideRecord(
            slide=slide, outcome="failed", error=error, reason=reason, next_step=next_step(error, reason)
        )
        self._add(told)
        self._keep_up()

    def end(
        self,
        *,
        seconds: Mapping[str, float],
        n_items: int,
        peak_rss_mb: float,
        notes: Sequence[str] = (),
        leaks: Sequence[str] = (),
        warnings: Sequence[str] = (),
    ) -> None:
        """Note what is known when all slides are done."""
        self.record.seconds = dict(seconds)
        self.record.n_items = n_items
        self.record.peak_rss_mb = peak_rss_mb
        self.record.notes = [self._redact(note) for note in notes]
        self.record.leaks = list(leaks)
        self.record.warnings = list(warnings)

    def _add(self, found: SlideRecord) -> None:
        self.record.slides.append(found)

    def _add_licence(self, facts: SlideFacts) -> None:
        key = (facts.licence, facts.cohort)
        if key not in self._licences:
            self._licences[key] = LicenceRecord(licence=facts.licence, cohort=facts.cohort, citation=facts.citation)
            self.record.licences.append(self._licences[key])
        self._licences[key].n_slides += 1

    def _keep_up(self) -> None:
        if time.monotonic() - self._written_at >= _REST * self._cost_s:
            self._write()

    def _write(self) -> None:
        start = time.monotonic()
        self.record.updated_at = _now()
        write_record(self._location, self.record)
        self._written_at = time.monotonic()
        self._cost_s = self._written_at - start


def write_record(location: Location, run: RunRecord) -> None:
    """Replace both files of a run; what cannot be written is told in the log."""
    folder = f"{RUNS}/{run.id}"
    try:
        location.replace(f"{folder}/{RECORD}", run.model_dump_json(indent=1).encode(), flush=False)
        location.replace(f"{folder}/{SUMMARY}", summary_text(run).encode(), flush=False)
    except (OSError, StoreError) as error:
        _LOG.warning(
            "The record of run %s cannot be written: %s. The index itself is not touched by that.", run.id, error
        )


def close_killed(location: Location, *, keep_others: bool = False) -> None:
    """Say of runs that ended without a word that they were killed.

    Hold the lock of the index: then no other run goes on. Runs of shards hold it in turns; with `keep_others` only
    those are closed whose process is known to be gone.
    """
    for found in run_ids(location)[-_N_LOOKED_AT:]:
        try:
            run = read_run(location, found)
        except StoreError as error:
            _LOG.debug("Run %s is passed over: %s", found, error)
            continue
        ended = run.state == "killed" or (run.state == "running" and not (keep_others and is_alive(run)))
        if ended and not run.is_closed:
            write_record(location, run.model_copy(update={"state": "killed", "is_closed": True}))


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
