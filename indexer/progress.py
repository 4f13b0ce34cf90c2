"""How a build tells the outside how far it is, and what each stage cost."""

import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol


class Progress(Protocol):
    """Listener of a build; the command line draws bars with it."""

    def update(self, stage: str, done: int, total: int | None, slide: str) -> None:
        """Take note of an advance.

        Parameters
        ----------
        stage : str
            `slides` (slides finished), `tiles` (tiles and spots encoded; those of slides that were not opened yet are
            estimated), `write` or `sidecar`.
        done, total : int, int or None
            Units done and expected in this stage; `total` is `None` where it is not known.
        slide : str
            The slide being worked on, empty for stages of the whole index.
        """


class Silent:
    """Progress that nobody watches."""

    def update(self, stage: str, done: int, total: int | None, slide: str) -> None:
        """Do nothing."""


class StageClock:
    """Seconds spent in each stage of a build, summed over slides."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the block to a stage, also when it fails."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - start

    def add(self, name: str, seconds: float) -> None:
        """Add time that was measured elsewhere to a stage."""
        self._seconds[name] += seconds

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by stage, in the order the stages first ran."""
        return {name: round(value, 3) for name, value in self._seconds.items()}


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MiB."""
    try:  # what `getrusage` says of a process begins with the memory of the one that started it
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10, 1)
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
