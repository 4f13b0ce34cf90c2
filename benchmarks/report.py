"""One row a measurement, printed as JSON lines, as a table, or as Markdown for the docs."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

_START, _END = "<!-- table -->", "<!-- end of table -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure; baselines and peers are rows of their own.

    `baseline` names what `value` is to be held against, `n` the size of the gallery or sample. A value that is not
    defined is `None`, and `note` says why.
    """

    bench: str
    row: str
    value: float | None
    unit: str
    baseline: str | None
    n: int
    note: str = ""


def show(rows: Iterable[Row], *, as_json: bool) -> list[Row]:
    """Print rows as they come, one JSON object a line, or all as a table for people; and return them."""
    shown = []
    table = Table("row", "value", "unit", "against", "n", "note", title="")
    for row in rows:
        shown.append(row)
        table.add_row(row.row, _text(row.value), row.unit, row.baseline or "", str(row.n), row.note)
        if as_json:
            print(json.dumps(asdict(row)), flush=True)
    if not as_json:
        Console().print(table)
    return shown


def markdown(rows: Iterable[Row]) -> str:
    """Rows as a Markdown table, each baseline `name (method)` in the line of its `name`."""
    lines: dict[str, tuple[Row, list[str]]] = {}
    for row in rows:
        name = row.row.split(" (", maxsplit=1)[0]
        if name not in lines:
            lines[name] = (row, [])
        else:
            lines[name][1].append(f"{row.row[len(name) + 2 : -1]} {_text(row.value)}")
    head = ["| row | value | baselines | gallery | note |", "| --- | --- | --- | --- | --- |"]
    body = [
        f"| {name} | **{_text(row.value)}** | {'; '.join(others)} | {row.n:,} | {row.note} |"
        for name, (row, others) in lines.items()
    ]
    return "\n".join([*head, *body])


def write_between_marks(page: Path, table: str) -> None:
    """Replace the table between the marks of a page, `<!-- table -->` and its end; raises `ValueError` without them."""
    before, mark, rest = page.read_text(encoding="utf-8").partition(_START)
    _, end, after = rest.partition(_END)
    if not (mark and end):
        raise ValueError(f"{page} has no {_START} followed by {_END}.")
    page.write_text(f"{before}{mark}\n\n{table}\n\n{end}{after}", encoding="utf-8")


def _text(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
