"""What a verb writes: JSON alone or tables on stdout; progress, notes and errors on stderr."""

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from app.tables.view import TableView

#: Columns of a table that goes to a file or a pipe, where no terminal says how wide it is.
_PIPED_WIDTH = 180

DONE, FAILED, USAGE, DONE_WITH_FAILURES = 0, 1, 2, 3


def stdout_console() -> Console:
    """Console for answers. Made anew for each call, so that it follows redirection."""
    return _widened(Console(highlight=False))


def stderr_console() -> Console:
    """Console for progress bars, notes and errors."""
    return _widened(Console(stderr=True, highlight=False))


def _widened(console: Console) -> Console:
    """A terminal says how wide it is; a file or pipe gets room for whole tables."""
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPED_WIDTH
    return console


def show(payload: Mapping[str, Any] | Sequence[Any], views: Sequence[TableView | str], *, as_json: bool) -> None:
    """Write `payload` as JSON, or the tables and sentences of `views`, to stdout."""
    if as_json:
        print(json.dumps(jsonable(payload), ensure_ascii=False, indent=2, allow_nan=False))
        return
    console = stdout_console()
    for view in views:
        if isinstance(view, str):
            console.print(Text(view))
            continue
        # Title and caption take the width of the console, not that of a narrow table.
        console.print(Text(view.title, style="bold"))
        console.print(rich_table(view))
        console.print(Text(f"{view.caption}\n" if view.caption else "", style="dim"))


def say(sentence: str) -> None:
    """Write one line to stderr."""
    stderr_console().print(Text(sentence), soft_wrap=True)


def complain(message: str) -> None:
    """Write `error: message` to stderr, on one line."""
    stderr_console().print(Text.assemble(("error: ", "bold red"), " ".join(message.split())), soft_wrap=True)


def rich_table(view: TableView) -> Table:
    """Columns and rows of `view` for the terminal."""
    table = Table(header_style="bold cyan", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in view.columns:
        table.add_column(
            escape(column.heading),
            justify=column.align,
            no_wrap=not column.wrap,
            overflow="fold" if column.wrap else "ellipsis",
        )
    for place, row in enumerate(view.rows):
        table.add_row(*(escape(cell) for cell in row), style="dim" if place in view.faint else None)
    return table


def jsonable(value: Any) -> Any:
    """`value` in JSON's own types: arrays as lists, paths as text, NaN and bytes as null.

    Pictures (bytes) have no place in JSON; they are written to the gallery instead.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [jsonable(item) for item in value]
    if isinstance(value, bytes) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return str(value) if isinstance(value, Path) else value
