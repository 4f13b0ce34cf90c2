"""How a build is run, which changes nothing of what it writes."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from indexer.building.readers import Child
from indexer.building.shards import Shard
from indexer.errors import DataError

#: Slides that get ready within so many seconds share a commit.
COMMIT_S = 2.0
#: Memory that a slide under way may take besides its reader, MiB; `auto_workers` leaves as much for each.
_SLIDE_MB = 512


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a build is run.

    Attributes
    ----------
    workers : int
        Processes that read slides with a picture, each one slide at a time; 0 reads in the build's own process.
    batch_size : int or None
        Patches encoded at once; by default what suits the device.
    shard : Shard or None
        Only this part of the slides. Runs of several shards may write one index at the same time, in turns.
    fail_fast : bool
        End at the first slide that fails, instead of noting it and going on.
    commit_s : float
        Slides that get ready within so many seconds share a commit, 0 commits each by itself.
    start_reader : callable or None
        Starts a process that reads, by default `readers.start_reader`.

    Raises `DataError` for numbers that make no sense.
    """

    workers: int = 0
    batch_size: int | None = None
    shard: Shard | None = None
    fail_fast: bool = False
    commit_s: float = COMMIT_S
    start_reader: Callable[[], Child] | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.workers < 0:
            raise DataError(f"Got {self.workers} workers; expected 0, to read in one process, or more.")
        if self.batch_size is not None and self.batch_size < 1:
            raise DataError(f"Got a batch size of {self.batch_size}; expected at least 1.")


def auto_workers(n_slides: int) -> int:
    """Readers that keep the cores busy and fit into the free memory: at least one, at most one a slide."""
    return max(1, min(_cores(), n_slides, _free_mb() // _SLIDE_MB))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _free_mb() -> int:
    """Memory that is free or can be freed, MiB; where the system does not say it, as much as two readers want."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 2 * _SLIDE_MB
    found = dict(line.split(":", maxsplit=1) for line in lines)
    return int(found["MemAvailable"].split()[0]) // 1024
