"""How far a run is, as bars in a terminal and as lines of a log elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.cli.output import say, stderr_console
from app.cli.progress import Bars, bars

#: Between two lines.
_EVERY_S = 15.0


class RunLines:
    """Says every now and then how many slides and tiles are done, how fast it goes and what time is left.

    Parameters
    ----------
    tell : callable
        Takes a line.
    clock : callable
        Seconds.
    """

    def __init__(self, tell: Callable[[str], None] = say, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._said_at = clock()
        self._counts: dict[str, tuple[int, int | None]] = {}
        self._first: dict[str, tuple[float, int]] = {}
        self._unsaid = False

    def update(self, stage: str, done: int, total: int | None, slide: str = "") -> None:
        """Take note of an advance, see `indexer.progress.Progress`."""
        if stage not in ("slides", "tiles"):
            return
        now = self._clock()
        self._first.setdefault(stage, (now, done))
        self._counts[stage] = (done, total)
        self._unsaid = True
        if now - self._said_at >= _EVERY_S:
            self._say(now, slide)

    def end(self) -> None:
        """Say the last state."""
        if self._unsaid:
            self._say(self._clock(), "")

    def _say(self, now: float, slide: str) -> None:
        self._said_at, self._unsaid = now, False
        parts = []
        for stage, (done, total) in sorted(self._counts.items()):
            about = "about " if stage == "tiles" and done != total else ""
            parts.append(f"{stage} {done:,}" + ("" if total is None else f" of {about}{total:,}"))
        self._tell(", ".join([*parts, *self._pace(now)]) + (f" ({slide})" if slide else ""))

    def _pace(self, now: float) -> list[str]:
        stage = "tiles" if "tiles" in self._counts else "slides"
        (start, before), (done, total) = self._first[stage], self._counts[stage]
        if now - start < 1 or done <= before:
            return []
        rate = (done - before) / (now - start)
        left = [] if total is None or done >= total else [f"{duration(round((total - done) / rate))} left"]
        return [f"{rate:.3g} {stage}/s", *left]


def duration(seconds: int) -> str:
    """A time in words of at most two units: `3 h 12 min`, `4 min`, `20 s`."""
    minutes, hours = round(seconds / 60), seconds // 3600
    if minutes < 2:
        return f"{seconds} s"
    return f"{hours} h {round((seconds - 3600 * hours) / 60)} min" if hours else f"{minutes} min"


@contextmanager
def run_progress() -> Iterator[Bars | RunLines]:
    """Bars in a terminal, a line every quarter of a minute in a log."""
    if stderr_console().is_terminal:
        with bars() as shown:
            yield shown
        return
    lines = RunLines()
    try:
        yield lines
    finally:
        lines.end()
