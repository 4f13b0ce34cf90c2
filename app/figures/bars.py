"""Horizontal bar charts: cohorts, cell types, predicted genes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.figures.style import BLUE, INK, MUTED, ORANGE, RULE, SMALL_PT, TEXT_PT, foot, new_figure, style, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_IN, _WIDTH_IN, _HEAD_IN, _FOOT_IN, _LABEL_IN, _NOTE_IN = 0.27, 7.2, 0.7, 1.2, 1.6, 1.5


@dataclass(frozen=True, slots=True)
class Bars:
    """What is drawn, first bar uppermost.

    Attributes
    ----------
    values : sequence of float
        Length of each bar.
    spreads : sequence of float, optional
        Standard deviation drawn as a whisker.
    intervals : sequence of (float, float), optional
        Ends of a whisker, instead of a spread.
    faint : collection of int
        Bars, from 0, that are greyed out.
    marks : sequence of (float or None), optional
        A second value drawn as a dot, such as the measured one; `mark_name` names it.
    notes : sequence of str, optional
        Written in a column to the right of the bars.
    """

    title: str
    subtitle: str
    value_name: str
    labels: Sequence[str]
    values: Sequence[float]
    spreads: Sequence[float] = ()
    intervals: Sequence[tuple[float, float]] = ()
    faint: Collection[int] = ()
    marks: Sequence[float | None] = ()
    mark_name: str = ""
    notes: Sequence[str] = ()
    provenance: str = ""
    generated: bool = False


def bars_figure(bars: Bars) -> "Figure":
    """Draw one chart, as high as its bars need."""
    height = _HEAD_IN + _FOOT_IN + _ROW_IN * max(1, len(bars.labels))
    with style():
        figure = new_figure(_WIDTH_IN, height)
        titled(figure, bars.title, bars.subtitle, generated=bars.generated)
        box = (_LABEL_IN / _WIDTH_IN, _FOOT_IN / height)
        right = _NOTE_IN if bars.notes else 0.35
        size = (1 - (_LABEL_IN + right) / _WIDTH_IN, 1 - (_HEAD_IN + _FOOT_IN) / height)
        draw_bars(figure.add_axes((*box, *size)), bars)
        foot(figure, bars.provenance)
    return figure


def draw_bars(axes: "Axes", bars: Bars, *, room_for: int = 1) -> None:
    """Draw the chart into `axes`, which keep room for that many bars even where there are fewer."""
    rows = list(range(len(bars.labels)))
    axes.barh(rows, bars.values, height=0.62, color=[RULE if row in bars.faint else BLUE for row in rows], zorder=2)
    ends = list(bars.values)
    if len(bars.intervals):
        whiskers = [
            [value - low for value, (low, _) in zip(bars.values, bars.intervals, strict=True)],
            [high - value for value, (_, high) in zip(bars.values, bars.intervals, strict=True)],
        ]
        axes.errorbar(bars.values, rows, xerr=whiskers, fmt="none", ecolor=INK, elinewidth=0.9, capsize=2, zorder=3)
        ends = [high for _, high in bars.intervals]
    elif len(bars.spreads):
        axes.errorbar(bars.values, rows, xerr=bars.spreads, fmt="none", ecolor=INK, elinewidth=0.9, capsize=2, zorder=3)
        ends = [value + spread for value, spread in zip(bars.values, bars.spreads, strict=True)]
    measured = [(row, mark) for row, mark in zip(rows, bars.marks, strict=False) if mark is not None]
    if measured:
        marks, places = [mark for _, mark in measured], [row for row, _ in measured]
        dots = axes.scatter(marks, places, s=26, color=ORANGE, edgecolors=INK, zorder=4, label=bars.mark_name)
        dots.set(linewidth=0.6, clip_on=False)
        axes.legend(
            loc="upper left", frameon=False, fontsize=SMALL_PT, bbox_to_anchor=(0, 0), borderaxespad=5.2, borderpad=0,
            handletextpad=0.2, handlelength=1.0,
        )  # fmt: skip
    for row, note in zip(rows, bars.notes, strict=False):
        axes.text(1.03, row, note, transform=axes.get_yaxis_transform(), va="center", fontsize=SMALL_PT, color=MUTED)
    axes.set_yticks(rows, list(bars.labels), fontsize=TEXT_PT)
    axes.tick_params(axis="x", labelsize=SMALL_PT)
    axes.set_ylim(max(len(rows), room_for) - 0.4, -0.6)
    axes.spines["left"].set_visible(False)
    low = min(0.0, *ends, *bars.values) if ends else 0.0
    high = max([0.0, *ends, *(mark for _, mark in measured)])
    axes.set_xlim(low * 1.05, high * 1.06 or 1.0)
    axes.set_xlabel(bars.value_name, fontsize=TEXT_PT, loc="left")
    axes.grid(axis="x", color="#eceff1", linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
