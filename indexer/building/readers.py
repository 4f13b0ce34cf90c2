"""Where slides are read: in a process of their own that may die, or in this one."""

import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Protocol, TypeVar

from indexer.building.frames import receive, send
from indexer.building.reader_process import Answer, Content, LogLine, ReadTask, Refusal, answers
from indexer.building.slide_reading import SlideEnd
from indexer.errors import ReaderDiedError

_Item = TypeVar("_Item")
_END_S = 10.0  # a reader that was told to end, or whose pipe is closed, is gone long before


class Child(Protocol):
    """A process as `subprocess.Popen` gives it."""

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None

    def kill(self) -> None:
        """End it at once."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, negative for a signal."""


class Reader(Protocol):
    """Reads slides, one after the other."""

    def read(self, task: ReadTask) -> Generator[Answer]:
        """What is to be said of a slide; see `reader_process.answers`. Raises `ReaderDiedError`."""

    def end(self) -> None:
        """Let it end, as it has nothing to read any more."""

    def close(self) -> None:
        """End it at once, from any thread; what it reads is lost."""


class OwnReader:
    """Reads in this process, the next part made by another thread while the last one is used."""

    def read(self, task: ReadTask) -> Generator[Answer]:
        """What is to be said of a slide."""
        return _ahead(answers(task))

    def end(self) -> None:
        """Nothing to end."""

    def close(self) -> None:
        """Nothing to end."""


class ProcessReader:
    """Reads in a process of its own, which is started anew when it has died.

    Parameters
    ----------
    start : callable, optional
        Starts the process.
    """

    def __init__(self, start: Callable[[], Child] | None = None) -> None:
        self._start = start or start_reader
        self._child: Child | None = None
        self._is_closed = False
        #: Largest resident memory of its processes so far, MiB.
        self.peak_rss_mb = 0.0

    def open(self) -> Child:
        """Start the process if it does not run, so that it gets ready while others work."""
        if self._child is None:
            self._child = self._start()
        if self._is_closed:
            self._child.kill()
        return self._child

    def read(self, task: ReadTask) -> Generator[Answer]:
        """What is to be said of a slide.

        Raises
        ------
        ReaderDiedError
            If the process dies of it.
        """
        is_done = False
        try:
            for answer in self._ask(task):
                is_done = _is_last(answer)
                yield answer
        except (EOFError, ConnectionError) as error:
            is_done = True
            raise ReaderDiedError(_obituary(self._buried())) from error
        finally:
            if not is_done:
                self._buried()

    def close(self) -> None:
        """End the process, also from another thread than the one that reads."""
        self._is_closed = True
        child = self._child
        if child is not None:
            child.kill()

    def _ask(self, task: ReadTask) -> Iterator[Answer]:
        child = self.open()
        try:
            send(_stream(child.stdin), task)
        except (pickle.PicklingError, TypeError, AttributeError) as error:  # raised before anything is written
            reason = f"The slide cannot be handed to another process: {error}. Ingest it with --workers 0."
            yield Refusal(type(error).__name__, reason)
            return
        answer: Answer | None = None
        while answer is None or not _is_last(answer):
            found: Answer | LogLine = receive(_stream(child.stdout))
            if isinstance(found, LogLine):
                logging.getLogger(found.logger).log(found.level, "%s", found.text)
                continue
            answer = found
            if isinstance(answer, SlideEnd):
                self.peak_rss_mb = max(self.peak_rss_mb, answer.peak_rss_mb)
            yield answer

    def end(self) -> None:
        """Let a process that has nothing to do end by itself."""
        child, self._child = self._child, None
        if child is None:
            return
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                _close(stream)
        try:
            child.wait(_END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _buried(self) -> int | None:
        """Make sure that the process is gone; its exit status."""
        child, self._child = self._child, None
        if child is None:
            return None
        try:
            status = child.wait(0.2)
        except subprocess.TimeoutExpired:
            child.kill()
            status = child.wait(_END_S)
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                _close(stream)
        return status


def _is_last(answer: Answer) -> bool:
    return isinstance(answer, SlideEnd | Refusal) or (isinstance(answer, Content) and answer.is_known)


def start_reader() -> Child:
    """Start a process that reads."""
    paths = os.pathsep.join(path for path in sys.path if path)
    quiet = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    run = "from indexer.building.reader_process import main; main()"
    return subprocess.Popen(  # noqa: S603  # this very Python, with words of this module
        [sys.executable, "-c", quiet + run],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Readers are many and each works in one thread: numeric libraries must not start one a core in each.
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise EOFError("The reader has no pipe.")
    return stream


def _close(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except OSError:  # what was still to be written has no reader
        logging.getLogger(__name__).debug("A reader's pipe was broken", exc_info=True)


def _obituary(status: int | None) -> str:
    """Sentence about a process that died, without the slide."""
    if status is None:
        return "the process that read it was ended with the run"
    if status < 0:
        name = signal.Signals(-status).name
        likely = {
            "SIGKILL": "most likely the system ran out of memory: read fewer slides at once (--workers 1)",
            "SIGSEGV": "a codec crashed on its file: get it again, or convert it to a pyramidal TIFF",
        }.get(name, "a library crashed on its file: get it again, or convert it to a pyramidal TIFF")
        return f"the process that read it died of {name}; {likely}"
    return f"the process that read it ended with status {status}; get the file again, or convert it to a pyramidal TIFF"


def _ahead(items: Generator[_Item]) -> Generator[_Item]:
    """The same items, the next one made by another thread while the last one is used."""
    try:
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as thread:
            pending = thread.submit(next, items, None)
            while (item := pending.result()) is not None:
                pending = thread.submit(next, items, None)
                yield item
    finally:
        items.close()
