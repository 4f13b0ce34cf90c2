"""The writer of a run: the index's only one while the run lasts, or in turns with the runs of other shards."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from indexer.store.location import Location
from indexer.store.locks import writer_lock
from indexer.store.writer import IndexWriter


class RunWriter:
    """Gives the writer of an index, a turn at a time; a context manager for the time of a run.

    Parameters
    ----------
    location : Location
        The index.
    wait_s : float
        Seconds to wait for another writer to end.
    in_turns : bool
        Take the lock for each turn and open the index anew, instead of once for all of the run.
    on_wait : callable, optional
        Is told who writes the index when there is somebody to wait for.
    """

    def __init__(
        self, location: Location, *, wait_s: float, in_turns: bool, on_wait: Callable[[str], None] | None = None
    ) -> None:
        self.location = location
        self._wait_s = wait_s
        self._in_turns = in_turns
        self._on_wait = on_wait
        self._stack = ExitStack()
        self._open: Callable[[], IndexWriter] | None = None
        self._writer: IndexWriter | None = None

    def __enter__(self) -> Self:
        """Take the lock, unless it is taken in turns. Raises `WriteError`."""
        if not self._in_turns:
            self._stack.enter_context(self._lock())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the lock."""
        self._stack.close()

    @contextmanager
    def opening(self) -> Iterator[None]:
        """The first turn, in which is found out how the writer is opened: see `opened_by`. Raises `WriteError`."""
        with self._turn():
            yield

    def opened_by(self, open_writer: Callable[[], IndexWriter]) -> IndexWriter:
        """Open the writer, and open it like that in later turns."""
        self._open = open_writer
        self._writer = open_writer()
        return self._writer

    @contextmanager
    def turn(self) -> Iterator[IndexWriter]:
        """The writer, on the last commit of whoever made it. Raises `WriteError`."""
        with self._turn():
            if self._open is None or self._writer is None:
                raise ValueError("The writer has not been opened yet.")
            if self._in_turns:  # another run may have committed, or been killed while it wrote
                self._writer = self._open()
            yield self._writer

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._in_turns:
            yield
            return
        with self._lock():
            yield

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with writer_lock(self.location, wait_s=self._wait_s, on_wait=self._on_wait):
            yield
