"""One run over slides: which reader takes which, what is committed when, what became of each."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from encoders.aggregators import MEAN
from indexer.building.bulk import ingest_samples, is_bulk
from indexer.building.commits import CommitDesk
from indexer.building.content import content_sha256
from indexer.building.pipeline import Failure, Pipeline, Ready, Result, Task
from indexer.building.readers import OwnReader, ProcessReader, Reader
from indexer.building.report import SlideRun
from indexer.building.run_options import RunOptions
from indexer.building.run_progress import RunProgress
from indexer.building.run_writer import RunWriter
from indexer.building.shards import name_of
from indexer.building.slide_encoder import SlideEncoder
from indexer.building.slide_reading import ReadPlan
from indexer.errors import DataError, SlideFailedError
from indexer.features.tiled_slides import TiledSlide
from indexer.slides import SlideFacts, SlideSource
from indexer.store.card import BuildSettings
from indexer.upkeep.maintenance import Folding

_LOG = logging.getLogger(__name__)
_LOOK_S = 0.25
Listener = Callable[[SlideRun, SlideFacts | None], None]


@dataclass(slots=True)
class Ingest:
    """A run over slides.

    Attributes
    ----------
    writing : RunWriter
        Opened.
    settings : BuildSettings
        Of the index.
    encoder : SlideEncoder
        Encodes all slides.
    plan : ReadPlan
        How they are read.
    options : RunOptions
        How the run goes.
    progress : RunProgress
        Is told how far it is.
    folding : Folding
        Is told of commits.
    committed : dict of str to str
        Content digest of the slides that the index has.
    had_failed : frozenset of str
        Slides that it notes as failed.
    listeners : tuple of callable
        Are told of each slide when that is committed; its facts are `None` if it was skipped or failed.
    """

    writing: RunWriter
    settings: BuildSettings
    encoder: SlideEncoder
    plan: ReadPlan
    options: RunOptions
    progress: RunProgress
    folding: Folding
    committed: dict[str, str]
    had_failed: frozenset[str]
    listeners: tuple[Listener, ...] = ()
    redact: Callable[[str], str] = str
    runs: list[SlideRun] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def run(self, sources: Sequence[SlideSource], readers: Sequence[ProcessReader], *, again: bool) -> None:
        """Bring slides up to date.

        Raises
        ------
        SlideFailedError
            If one fails and the options say to end then; what was ready before is committed.
        StoreError, EncoderError
            If no other slide would fare better; what is committed stays.
        """
        desk = CommitDesk(
            self.writing,
            self.settings,
            self.options.commit_s,
            self.had_failed,
            self.folding,
            self.encoder.clock,
            self._done,
            self.redact,
        )
        tasks, samples = self._tasks(sources, desk, again=again)
        lanes = _lanes(tasks, readers)
        with Pipeline(lanes, self.settings, self.plan, self.encoder, self.progress) as pipeline:
            try:
                for result in pipeline.results(_LOOK_S):
                    if result is not None:
                        self._take(desk, result)
                    desk.commit_if_due()
            except (KeyboardInterrupt, SlideFailedError):
                desk.commit()
                raise
        desk.commit()
        self._ingest_samples(samples, again=again)

    def _tasks(
        self, sources: Sequence[SlideSource], desk: CommitDesk, *, again: bool
    ) -> tuple[list[Task], list[SlideSource]]:
        """Slides to read one by one, and bulk samples, which are read together."""
        tasks: list[Task] = []
        samples: list[SlideSource] = []
        names: set[str] = set()
        for source in sources:
            name = name_of(source)
            task = Task(name, source, None if again else self.committed.get(name))
            if name in names:
                reason = f"Slide {name} is given twice; expected one source for each. Rename one of them."
                self._take(desk, Failure(task, "JoinError", reason, {}))
                continue
            names.add(name)
            if is_bulk(source) and self.settings.aggregator == MEAN:
                samples.append(source)
            else:
                tasks.append(task)
        return tasks, samples

    def _take(self, desk: CommitDesk, result: Result) -> None:
        if isinstance(result, Failure):
            _LOG.warning("Slide %s is left out: %s", result.task.slide, result.reason)
            desk.add(result)
            if self.options.fail_fast:
                raise SlideFailedError(f"{result.reason} (The run ends at the first slide that fails.)")
            return
        if isinstance(result, Ready):
            self.notes += map(self.redact, result.encoded.notes)
        try:
            desk.add(result)
        except DataError as error:
            self._take(desk, Failure(result.task, type(error).__name__, str(error), {}))

    def _done(self, run: SlideRun, facts: SlideFacts | None) -> None:
        self.runs.append(run)
        self.progress.finished(run.slide)
        for listener in self.listeners:
            listener(run, facts)

    def _ingest_samples(self, samples: Sequence[SlideSource], *, again: bool) -> None:
        if not samples:
            return
        facts = {name_of(source): source.facts for source in samples}
        content_of = partial(content_sha256, settings=self.settings)
        with self.writing.turn() as writer:
            said: list[str] = []
            found = ingest_samples(
                samples, writer, self.encoder, said, content_of=content_of, again=again, redact=self.redact
            )
            for some in found:
                self.folding.after_commit(self.writing.location, sum(run.n_items for run in some))
                for run in some:
                    self._done(run, facts[run.slide] if run.outcome in ("added", "replaced") else None)
                failed = next((run for run in some if run.outcome == "failed"), None)
                if failed is not None and self.options.fail_fast:
                    raise SlideFailedError(f"{failed.reason} (The run ends at the first slide that fails.)")
            self.notes += map(self.redact, said)


def wants_process(source: SlideSource) -> bool:
    """Whether a slide is read in a process of its own where there are some: it has a picture that is to be cut."""
    return source.image_path is not None and not isinstance(source, TiledSlide)


def _lanes(tasks: Sequence[Task], readers: Sequence[ProcessReader]) -> list[tuple[Reader, deque[Task]]]:
    """Who reads what: pictures are shared by the readers, all else is read here, by one thread."""
    pictured = deque(task for task in tasks if readers and wants_process(task.source))
    own = deque(task for task in tasks if not (readers and wants_process(task.source)))
    lanes: list[tuple[Reader, deque[Task]]] = [(reader, pictured) for reader in readers]
    return [*lanes, (OwnReader(), own)] if own else lanes
