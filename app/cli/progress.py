"""Progress bars, on stderr, so that stdout holds answers only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column as RichColumn

from app.cli.output import stderr_console


class Bars:
    """Bars of one run. Listens to builds (`indexer.progress.Progress`), downloads, and stages of unknown length."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def update(self, stage: str, done: float, total: float | None, slide: str = "") -> None:
        """Set the bar of `stage` to `done` of `total`, naming the slide; an unknown total shows a moving bar."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total, about="")
        self._progress.update(self._tasks[stage], completed=done, total=total, about=slide)

    def download(self, name: str, total_bytes: int) -> Callable[[str, int, int], None]:
        """Bar over all files of a data set: a listener of one file's path, bytes had and size."""
        had: dict[str, int] = {}

        def listen(path: str, have: int, size: int) -> None:
            had[path] = min(have, size)
            self.update(name, sum(had.values()) / 1e6, total_bytes / 1e6, path.rsplit("/", 1)[-1])

        return listen

    @contextmanager
    def working(self, stage: str) -> Iterator[None]:
        """Show a moving bar while a block of unknown length runs, full when it is over."""
        self.update(stage, 0, None)
        yield
        self.update(stage, 1, 1)


@contextmanager
def bars() -> Iterator[Bars]:
    """Live bars for the time of a block; a log that is no terminal gets the finished bars only."""
    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=20),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[about]}", style="dim", table_column=RichColumn(no_wrap=True, ratio=1)),
    )
    with Progress(*columns, console=stderr_console()) as progress:
        yield Bars(progress)
