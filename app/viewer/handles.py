"""Open slide files, each used by one thread at a time and a bounded number kept open."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.readers.pictures import open_picture
from indexer.slides import SlideImage

_MOST_IDLE = 8


class Handles:
    """Lends open slides to threads.

    A reader keeps a place in its file and decoded pixels, so no two threads share one; who asks while all handles of a
    slide are lent gets another.

    Parameters
    ----------
    most_idle : int
        Handles kept open while nobody reads; the one unused for longest is closed first.
    most_busy : int, optional
        Threads that decode at a time, others wait; by default one a processor core.
    """

    def __init__(self, most_idle: int = _MOST_IDLE, most_busy: int | None = None) -> None:
        self._most_idle = most_idle
        self._idle: list[tuple[Path, SlideImage]] = []  # the one used last at the end
        self._lock = threading.Lock()
        self._busy = threading.BoundedSemaphore(most_busy or max(2, os.cpu_count() or 1))

    @property
    def n_idle(self) -> int:
        """Handles that are open and lent to nobody."""
        return len(self._idle)

    @contextmanager
    def borrow(self, path: Path) -> Iterator[SlideImage]:
        """A handle of a slide file for the length of the block. Raises `SlideError`.

        After an error the handle is closed rather than kept.
        """
        with self._busy:
            image = self._take(path) or open_picture(path)
            try:
                yield image
            except BaseException:
                image.close()
                raise
            self._give_back(path, image)

    def forget(self, path: Path) -> None:
        """Close the idle handles of a file that has changed."""
        while (image := self._take(path)) is not None:
            image.close()

    def close(self) -> None:
        """Close all idle handles."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, image in idle:
            image.close()

    def _take(self, path: Path) -> SlideImage | None:
        with self._lock:
            for place in range(len(self._idle) - 1, -1, -1):
                if self._idle[place][0] == path:
                    return self._idle.pop(place)[1]
        return None

    def _give_back(self, path: Path, image: SlideImage) -> None:
        with self._lock:
            self._idle.append((path, image))
            surplus = [self._idle.pop(0)[1]] if len(self._idle) > self._most_idle else []
        for one in surplus:
            one.close()
