"""Slides on their way from their files to the writer: read side by side, encoded in one place, handed over one by one.

A thread for each reader takes slides from a list, lets its reader read them and the encoder encode them. All queues are
short, so a slow encoder or writer makes the readers wait and memory stays bounded.
"""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Event, Thread

from encoders.errors import HistoSeekError, SpaceMismatchError, UnknownSpaceError, WeightsMissingError
from indexer.building.content import content_sha256
from indexer.building.encoded import EncodedSlide
from indexer.building.reader_process import Answer, Content, ReadTask, Refusal
from indexer.building.readers import Reader
from indexer.building.run_progress import RunProgress
from indexer.building.slide_encoder import SlideEncoder
from indexer.building.slide_reading import ReadPlan, SlideHead, SlidePart
from indexer.errors import ReaderDiedError, StoreError
from indexer.features.tiled_slides import TiledSlide
from indexer.progress import StageClock
from indexer.slides import SlideSource
from indexer.store.card import BuildSettings

_LOG = logging.getLogger(__name__)
#: What no other slide would fare better with: the run ends.
FATAL = (StoreError, WeightsMissingError, UnknownSpaceError, SpaceMismatchError)
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Task:
    """A slide to bring up to date; `known` is the digest of what the index has of it."""

    slide: str
    source: SlideSource
    known: str | None


@dataclass(frozen=True, slots=True)
class Ready:
    """A slide, encoded."""

    task: Task
    encoded: EncodedSlide
    content: str
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A slide of which the index has the same content."""

    task: Task


@dataclass(frozen=True, slots=True)
class Failure:
    """A slide that cannot be had, and why."""

    task: Task
    error: str
    reason: str
    seconds: dict[str, float]


Result = Ready | Unchanged | Failure


class _Refused(Exception):  # noqa: N818  # goes no further than this module
    """A reader refused a slide."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class Pipeline:
    """Slides being read and encoded; a context manager that ends all of it, also in the middle.

    Parameters
    ----------
    lanes : sequence of (Reader, sequence of Task)
        Readers with the slides they take; those with the very same list share it.
    settings : BuildSettings
        Of the index.
    plan : ReadPlan
        How slides are read.
    encoder : SlideEncoder
        Shared by all.
    progress : RunProgress
        Is told of slides as they are opened.
    """

    def __init__(
        self,
        lanes: Sequence[tuple[Reader, deque[Task]]],
        settings: BuildSettings,
        plan: ReadPlan,
        encoder: SlideEncoder,
        progress: RunProgress,
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._encoder = encoder
        self._progress = progress
        self._readers = [reader for reader, _ in lanes]
        self._results: Queue[Result | BaseException | None] = Queue(maxsize=1)
        self._stopping = Event()
        self._threads = [
            Thread(target=self._work, args=lane, name=f"slides-{number}", daemon=True)
            for number, lane in enumerate(lanes)
        ]

    def __enter__(self) -> "Pipeline":
        """Start."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End all threads and readers; slides under way are given up."""
        self._stopping.set()
        for reader in self._readers:
            reader.close()
        for thread in self._threads:
            thread.join()

    def results(self, every_s: float) -> Iterator[Result | None]:
        """Slides as they get ready, and `None` when there was none for a while. Raises what ends the run."""
        n_running = len(self._threads)
        while n_running:
            try:
                found = self._results.get(timeout=every_s)
            except Empty:
                yield None
                continue
            if found is None:
                n_running -= 1
            elif isinstance(found, BaseException):
                raise found
            else:
                yield found

    def _work(self, reader: Reader, tasks: deque[Task]) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    task = tasks.popleft()
                except IndexError:
                    break
                self._put(self._result(reader, task))
            reader.end()
            self._put(None)
        except BaseException as error:  # noqa: BLE001  # is raised again by the thread that takes the results
            self._put(error)

    def _put(self, result: Result | BaseException | None) -> None:
        while not self._stopping.is_set():
            try:
                self._results.put(result, timeout=_LOOK_S)
            except Full:
                continue
            return

    def _result(self, reader: Reader, task: Task) -> Result:
        clock = StageClock()
        try:
            if isinstance(task.source, TiledSlide):
                return self._tiled(task, task.source, clock)
            with closing(reader.read(ReadTask(task.source, task.known, self._settings, self._plan))) as answers:
                content = self._content(answers)
                if content.is_known:
                    return Unchanged(task)
                encoded = self._encoder.encode(self._parts(task.slide, answers), clock)
            return Ready(task, encoded, content.sha256, clock.seconds)
        except _Refused as refused:
            return Failure(task, refused.refusal.error, refused.refusal.reason, clock.seconds)
        except FATAL:
            raise
        except ReaderDiedError as error:
            return Failure(task, type(error).__name__, f"Slide {task.slide}: {error}.", clock.seconds)
        except (HistoSeekError, OSError) as error:
            return Failure(task, type(error).__name__, str(error), clock.seconds)

    def _tiled(self, task: Task, source: TiledSlide, clock: StageClock) -> Result:
        with clock.stage("read"):
            content = content_sha256(source, self._settings)
        if content == task.known:
            return Unchanged(task)
        return Ready(task, self._encoder.encode_tiled(source, clock), content, clock.seconds)

    @staticmethod
    def _content(answers: Iterator[Answer]) -> Content:
        answer = next(answers)
        if isinstance(answer, Refusal):
            raise _Refused(answer)
        if not isinstance(answer, Content):
            raise TypeError(f"Got {type(answer).__name__}; expected the content of a slide first.")
        return answer

    def _parts(self, slide: str, answers: Iterator[Answer]) -> Iterator[SlidePart]:
        for answer in answers:
            if self._stopping.is_set():
                raise _Refused(Refusal("Stopped", "The run was ended."))
            if isinstance(answer, Refusal):
                raise _Refused(answer)
            if isinstance(answer, Content):
                raise TypeError(f"Slide {slide} has its content told twice.")
            if isinstance(answer, SlideHead):
                self._progress.opened(slide, answer.n_patches)
            yield answer
