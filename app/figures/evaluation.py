"""One picture of an evaluation: the space beside its baselines, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.figures.style import BLUE, INK, MUTED, SMALL_PT, TEXT_PT, VERMILION, foot, new_figure, style, titled
from app.tables.evaluation import MACRO_F1, RECALL
from search.quality.expression_quality import PEARSON
from search.quality.index_evaluation import Evaluation
from search.quality.quality_figures import RANDOM, Figure, headline_group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

_WIDTH_IN, _ROW_IN, _HEAD_IN, _FOOT_IN, _GAP_IN, _LABEL_IN, _RIGHT_IN = 7.2, 0.28, 0.72, 0.45, 0.72, 2.35, 1.55
_SPACE, _BASELINE, _CHANCE = "the space", "baseline", "random"
_COLOURS = {_SPACE: BLUE, _BASELINE: VERMILION, _CHANCE: MUTED}
_MARKERS = {_SPACE: "o", _BASELINE: "D", _CHANCE: "|"}


@dataclass(frozen=True, slots=True)
class _Panel:
    """Rows of dots over one metric; each row has a label and figures of several methods."""

    title: str
    rows: dict[str, list[Figure]]


def evaluation_figure(found: Evaluation, *, provenance: str = "") -> "Picture":
    """Draw recall at 10 %, macro-F1 of labels and Pearson of prediction, each with its baselines on the same line."""
    panels = _panels(found)
    heights = [_ROW_IN * max(1, len(panel.rows)) for panel in panels]
    height = _HEAD_IN + _FOOT_IN + sum(heights) + _GAP_IN * len(panels)
    with style():
        figure = new_figure(_WIDTH_IN, height)
        subtitle = f"Revision {found.revision}; lines are 95 % bootstrap intervals."
        titled(figure, f"Measured quality of {found.space}", subtitle, generated=found.generated)
        top = height - _HEAD_IN
        for number, (panel, rows_in) in enumerate(zip(panels, heights, strict=True)):
            top -= rows_in + 0.28
            box = (_LABEL_IN / _WIDTH_IN, top / height)
            size = (1 - (_LABEL_IN + _RIGHT_IN) / _WIDTH_IN, rows_in / height)
            axes = figure.add_axes((*box, *size))
            _draw(axes, panel, found.space)
            if number == 0:
                _key(axes)
            top -= _GAP_IN - 0.28
        foot(figure, provenance)
    return figure


def _panels(found: Evaluation) -> list[_Panel]:
    recall = [f for f in found.figures if f.metric == RECALL]
    labels = [f for f in found.figures if f.metric == MACRO_F1]
    pearson = [f for f in found.figures if f.metric == PEARSON and f.value is not None]
    panels = [
        _Panel("R@10 %: own partner in the first tenth of its section", _by_question(recall)),
        _Panel("Macro-F1 of labels: majority of the five nearest in other patients", _by_method(labels)),
        _Panel("Mean Pearson over 50 genes: expression predicted from pictures", _by_method(pearson)),
    ]
    return [panel for panel in panels if panel.rows]


def _by_question(figures: Sequence[Figure]) -> dict[str, list[Figure]]:
    rows = {}
    for question in dict.fromkeys(f.question for f in figures):
        own = [f for f in figures if f.question == question]
        group = headline_group(own)
        rows[question.replace("->", " → ")] = [f for f in own if f.group == group]
    return rows


def _by_method(figures: Sequence[Figure]) -> dict[str, list[Figure]]:
    rows: dict[str, list[Figure]] = {}
    for question in dict.fromkeys(f.question for f in figures):
        own = [f for f in figures if f.question == question]
        group = headline_group(own) or own[0].group
        for figure in own:
            if figure.group == group:
                rows.setdefault(figure.method, []).append(figure)
    return rows


def _draw(axes: "Axes", panel: _Panel, space: str) -> None:
    for row, figures in enumerate(panel.rows.values()):
        axes.axhline(row, color="#eceff1", linewidth=0.8, zorder=0)
        for figure in figures:
            _dot(axes, row, figure, _role(figure, space))
        best = figures[0]
        if best.value is not None:
            note = f"{best.value:.3f}   N = {best.n_gallery:,}" + ("  trained on" if best.trained_on else "")
            where = axes.get_yaxis_transform()
            axes.text(1.03, row, note, transform=where, va="center", fontsize=SMALL_PT, color=MUTED)
    axes.set_title(panel.title, fontsize=TEXT_PT, loc="left", color=INK, fontweight="bold")
    axes.set_yticks(range(len(panel.rows)), list(panel.rows), fontsize=TEXT_PT)
    axes.set_ylim(len(panel.rows) - 0.5, -0.5)
    low, high = axes.get_xlim()
    axes.set_xlim(min(0.0, low), high)
    axes.tick_params(axis="x", labelsize=SMALL_PT)
    axes.spines["left"].set_visible(False)


def _dot(axes: "Axes", row: int, figure: Figure, role: str) -> None:
    if figure.value is None:
        return
    if figure.low is not None and figure.high is not None:
        axes.plot([figure.low, figure.high], [row, row], color=_COLOURS[role], linewidth=1.6, alpha=0.45, zorder=2)
    size = 90 if role == _CHANCE else 34 if role == _SPACE else 20
    axes.scatter([figure.value], [row], s=size, marker=_MARKERS[role], color=_COLOURS[role], zorder=3)


def _role(figure: Figure, space: str) -> str:
    if figure.method == RANDOM:
        return _CHANCE
    return _SPACE if figure.method == space or figure.method.startswith("retrieval") else _BASELINE


def _key(axes: "Axes") -> None:
    """Name the marks above the first panel, at the right."""
    names = {_SPACE: "the space", _BASELINE: "baseline (colour, counts, ridge)", _CHANCE: "random"}
    for role, name in names.items():
        axes.scatter([], [], marker=_MARKERS[role], color=_COLOURS[role], s=24, label=name)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0 + (_RIGHT_IN - 0.25) / (_WIDTH_IN - _LABEL_IN - _RIGHT_IN), 1.16 ),
        ncols=3, frameon=False, fontsize=SMALL_PT, handletextpad=0.1, columnspacing=0.9, borderaxespad=0.0,
    )  # fmt: skip
