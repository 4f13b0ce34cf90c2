"""Slides ready to be written: those that come quickly share a commit, so that thousands make no thousand versions."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

import pyarrow as pa

from encoders.aggregators import MEAN
from encoders.contracts import Modality
from indexer.building.items import item_tables, slide_row
from indexer.building.pipeline import Failure, Ready, Result
from indexer.building.report import SlideRun
from indexer.building.run_writer import RunWriter
from indexer.building.slide_aggregates import aggregates_of
from indexer.progress import StageClock
from indexer.slides import SlideFacts
from indexer.store.aggregates import SlideAggregate, write_aggregates
from indexer.store.card import BuildSettings
from indexer.store.writer import IndexWriter
from indexer.upkeep.maintenance import Folding

#: A commit is made when so much is waiting for it.
_FULL_ROWS = 50_000
_FULL_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class _Waiting:
    run: SlideRun
    facts: SlideFacts
    content: str
    tables: list[pa.Table]
    row: pa.Table
    aggregates: dict[Modality, SlideAggregate]


@dataclass(slots=True)
class CommitDesk:
    """Collects slides and commits them.

    Attributes
    ----------
    writer : RunWriter
        Gives the writer.
    settings : BuildSettings
        Of the index.
    commit_s : float
        Seconds that a slide waits for others at most.
    had_failed : collection of str
        Slides that the index notes as failed.
    folding : Folding
        Is told of commits.
    clock : StageClock
        Of the writing.
    done : callable
        Is told of each slide when that is committed; its facts are `None` if it was skipped or failed.
    """

    writer: RunWriter
    settings: BuildSettings
    commit_s: float
    had_failed: Collection[str]
    folding: Folding
    clock: StageClock
    done: Callable[[SlideRun, SlideFacts | None], None]
    redact: Callable[[str], str] = str
    _ready: list[_Waiting] = field(default_factory=list)
    _failed: list[SlideRun] = field(default_factory=list)
    _unchanged: list[SlideRun] = field(default_factory=list)
    _since: float = 0.0

    def add(self, result: Result) -> None:
        """Take a slide; raises `SlideError` if its vectors are not what an index holds."""
        if not (self._ready or self._failed or self._unchanged):
            self._since = time.monotonic()
        if isinstance(result, Ready):
            self._add_ready(result)
        elif isinstance(result, Failure):
            name = result.task.slide
            run = SlideRun(name, "failed", result.seconds, error=result.error, reason=self.redact(result.reason))
            self._failed.append(run)
        else:
            self._unchanged.append(SlideRun(result.task.slide, "skipped", {}))

    def _add_ready(self, result: Ready) -> None:
        encoded, path = result.encoded, result.encoded.image_path
        encoded = replace(encoded, image_path=None if path is None else self.redact(path))
        with self.clock.stage("write"):
            tables = item_tables(encoded, self.settings.space.dim, self.settings.tiling.side_um)
            row = slide_row(encoded, result.content)
            kept = aggregates_of(encoded) if self.settings.aggregator != MEAN else {}
        n_items = sum(table.num_rows for table in tables)
        run = SlideRun(
            slide=result.task.slide,
            outcome="added",
            seconds=result.seconds,
            n_tiles=len(encoded.tiles_px),
            n_items=n_items,
            left_out=encoded.left_out,
            genes=encoded.genes,
        )
        self._ready.append(_Waiting(run, encoded.facts, result.content, tables, row, dict(kept)))

    def commit_if_due(self) -> None:
        """Commit if the first slide has waited long enough, or if there is much to write. Raises `WriteError`."""
        if time.monotonic() - self._since >= self.commit_s or self._is_full():
            self.commit()

    def commit(self) -> None:
        """Commit all that waits. Raises `WriteError`, and then nothing of it is in the index."""
        if not (self._ready or self._failed or self._unchanged):
            return
        mended = [run.slide for run in self._unchanged if run.slide in self.had_failed]
        if self._ready or self._failed or mended:
            with self.clock.stage("write"), self.writer.turn() as writer:
                self._ready = [self._as_committed(one, writer) for one in self._ready]
                self._write(writer, mended)
                self.folding.after_commit(self.writer.location, sum(one.run.n_items for one in self._ready))
        for one in self._ready:
            self.done(one.run, one.facts)
        for run in (*self._failed, *self._unchanged):
            self.done(run, None)
        self._ready, self._failed, self._unchanged = [], [], []

    def _write(self, writer: IndexWriter, mended: list[str]) -> None:
        if self.settings.aggregator != MEAN:
            for one in self._ready:
                write_aggregates(self.writer.location, one.content, one.aggregates)
        if self._ready:
            tables = [table for one in self._ready for table in one.tables]
            writer.commit(tables, pa.concat_tables([one.row for one in self._ready]))
        if self._failed:
            writer.commit_failures([(run.slide, run.error, run.reason) for run in self._failed])
        if mended:
            writer.forget_failures(mended)

    @staticmethod
    def _as_committed(waiting: _Waiting, writer: IndexWriter) -> _Waiting:
        is_there = waiting.run.slide in writer.committed
        return replace(waiting, run=replace(waiting.run, outcome="replaced" if is_there else "added"))

    def _is_full(self) -> bool:
        tables = [table for one in self._ready for table in one.tables]
        return bool(sum(t.num_rows for t in tables) >= _FULL_ROWS or sum(t.nbytes for t in tables) >= _FULL_BYTES)
