"""Options of how a run over slides goes, and what it does when it is told to stop or has to wait."""

import math
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.output import say

if TYPE_CHECKING:
    from indexer.building.run_options import RunOptions
    from indexer.slides import SlideSource

Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=0,
        help="Processes that read slides; default: what cores and free memory allow; 0 reads in this process.",
    ),
]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", min=1, help="Patches encoded at once; default: what suits the device.")
]
ShardText = Annotated[
    str | None,
    typer.Option(
        "--shard", metavar="I/N", help="Only the I-th of N parts of the slides; runs of all parts may share an index."
    ),
]
FailFast = Annotated[
    bool, typer.Option("--fail-fast/--skip-errors", help="End at the first slide that fails, or note it and go on.")
]

_GPU_BATCH = 256


def run_options(
    sources: "Sequence[SlideSource]",
    *,
    workers: int | None,
    batch_size: int | None,
    shard: str | None,
    fail_fast: bool,
    device: str,
) -> "RunOptions":
    """Options of a run, those left out chosen for these slides and this machine. Raises `DataError`."""
    from indexer.building.ingesting import wants_process
    from indexer.building.run_options import RunOptions, auto_workers
    from indexer.building.shards import Shard

    part = None if shard is None else Shard.parse(shard)
    taken = sources if part is None else part.take(sources)
    n_pictured = sum(wants_process(source) for source in taken)
    return RunOptions(
        workers=auto_workers(n_pictured) if workers is None else workers,
        batch_size=batch_size or (_GPU_BATCH if device.startswith("cuda") else None),
        shard=part,
        fail_fast=fail_fast,
    )


def wait_seconds(wait: float, shard: str | None) -> float:
    """How long to wait for another writer: runs of shards, which take turns, wait for as long as it takes."""
    return math.inf if shard is not None and wait == 0 else wait


def waiting_line(db: str) -> Callable[[str], None]:
    """Says once of each process that the run waits for it."""
    told: set[str] = set()

    def tell(holder: str) -> None:
        if holder not in told:
            told.add(holder)
            say(f"The index {db} is being written by {holder}: waiting for it. Ctrl+C gives up.")

    return tell


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let a request to terminate end the block like Ctrl+C does: what is finished is committed, readers are ended."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python hands signals to the main thread only
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
