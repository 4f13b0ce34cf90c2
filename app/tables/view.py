"""A table ready to be shown: the terminal and the gallery page draw the same one."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

#: Stands in a cell that has no value.
NONE = "\N{EN DASH}"

Align = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, how its cells stand, and whether long text may wrap."""

    heading: str
    align: Align = "left"
    wrap: bool = False


@dataclass(frozen=True, slots=True)
class TableView:
    """Formatted cells under headings.

    Attributes
    ----------
    title : str
        What the table answers.
    columns : sequence of Column
        Left to right.
    rows : sequence of sequence of str
        Cells as text, one per column.
    caption : str
        Provenance: licences, the space, what was excluded, "generated" where that is so.
    faint : collection of int
        Rows, from 0, that are greyed out.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    faint: Collection[int] = ()

    def __post_init__(self) -> None:
        wrong = next((row for row in self.rows if len(row) != len(self.columns)), None)
        if wrong is not None:
            raise ValueError(f"{self.title!r} has {len(self.columns)} columns but a row of {len(wrong)} cells.")


def number(value: float | None, digits: int = 3) -> str:
    """`value` with `digits` after the point; a dash where there is none."""
    if value is None or math.isnan(value):
        return NONE
    return f"{value:.{digits}f}"


def p_text(value: float | None) -> str:
    """A p-value the way papers write it: two digits, never 0."""
    if value is None or math.isnan(value):
        return NONE
    return "<.0001" if value < 1e-4 else f"{value:.2g}"


def size_text(n_bytes: int) -> str:
    """Bytes in the largest decimal unit that keeps the figure at 1 or above."""
    size = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def text(value: object) -> str:
    """`value` as a cell; a dash for nothing."""
    return NONE if value is None or value == "" else str(value)


def listed(values: Sequence[str], *, at_most: int = 8) -> str:
    """`a, b, c and 12 more`."""
    shown = ", ".join(values[:at_most])
    return shown if len(values) <= at_most else f"{shown} and {len(values) - at_most} more"
