"""One row a measurement, printed as JSON lines or as a table."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure; baselines and peers are rows of their own.

    `baseline` names what `value` is to be held against, `n` the size of the gallery or sample.
    """

    bench: str
    row: str
    value: float
    unit: str
    baseline: str | None
    n: int
    note: str = ""


def show(rows: Iterable[Row], *, as_json: bool) -> None:
    """Print rows, one JSON object a line, or as a table for people."""
    if as_json:
        for row in rows:
            print(json.dumps(asdict(row)))
        return
    table = Table("row", "value", "unit", "against", "n", "note", title="")
    for row in rows:
        table.add_row(row.row, f"{row.value:.3f}", row.unit, row.baseline or "", str(row.n), row.note)
    Console().print(table)
