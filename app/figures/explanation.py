"""Why an item is a hit, as a picture: query and hit side by side, what in them makes the score, and the genes."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from app.figures.bars import Bars, draw_bars
from app.figures.picture_panel import Picture, common_side_um, draw_picture
from app.figures.pictures import item_picture
from app.figures.style import MUTED, SMALL_PT, TEXT_PT, foot, new_figure, style, titled
from app.tables.hits import index_provenance
from app.tables.view import number
from search.engine import Engine
from search.explanation.explain import Explanation
from search.explanation.pictures import Occlusion
from search.query import ItemQuery, PatchQuery, Query

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH_IN, _HEIGHT_IN, _PANEL_IN = 10.5, 4.95, 2.75
_LEFT_IN, _GAP_IN, _TOP_IN = 0.3, 0.3, 0.95
_GENES = 12


def explanation_figure(found: Explanation, engine: Engine, query: Query, *, asked: str) -> "Figure":
    """Draw query and hit at one scale, the squares that make the score laid over them, and the genes that do."""
    pictures = [_query_picture(engine, query, asked), replace(item_picture(engine, found.item), heading="Hit")]
    seen = {one.of: one for one in found.occlusion}
    generated = any(picture.generated for picture in pictures)
    field_um = common_side_um(pictures)
    subtitle = f"Score {found.score:.3f}, {found.using} of the query with {found.target} of the hit. {_labels(found)}"
    with style():
        figure = new_figure(_WIDTH_IN, _HEIGHT_IN)
        titled(figure, f"Why {found.item} is a hit", subtitle, generated=generated)
        for place, (of, picture) in enumerate(zip(("query", "hit"), pictures, strict=True)):
            left = _LEFT_IN + place * (_PANEL_IN + _GAP_IN)
            bottom = _HEIGHT_IN - _TOP_IN - _PANEL_IN
            axes = figure.add_axes(
                (left / _WIDTH_IN, bottom / _HEIGHT_IN, _PANEL_IN / _WIDTH_IN, _PANEL_IN / _HEIGHT_IN)
            )
            draw_picture(axes, picture, field_um=field_um)
            if of in seen and picture.pixels is not None:
                _overlay(axes, seen[of], picture.side_um or field_um)
        _genes(figure, found)
        how = "Red squares: painted over, the score falls; blue: it rises. " if seen else ""
        foot(figure, f"{how}{index_provenance(engine)}")
    return figure


def _query_picture(engine: Engine, query: Query, asked: str) -> Picture:
    if isinstance(query, ItemQuery):
        return item_picture(engine, query.id)
    if isinstance(query, PatchQuery):
        side = min(query.pixels.shape[:2])
        top, left = (query.pixels.shape[0] - side) // 2, (query.pixels.shape[1] - side) // 2
        square = query.pixels[top : top + side, left : left + side]
        return Picture("Query", (asked,), square, side * query.mpp)
    return Picture("Query", (asked if len(asked) <= 60 else f"{asked[:57]}...",))


def _overlay(axes: "Axes", seen: Occlusion, side_um: float) -> None:
    half = side_um / 2
    most = max(float(np.abs(seen.losses).max()), 1e-6)
    strength = np.abs(seen.losses) / most
    axes.imshow(
        seen.losses,
        extent=(-half, half, half, -half),
        cmap="RdBu_r",
        vmin=-most,
        vmax=most,
        alpha=0.55 * strength,
        interpolation="nearest",
        zorder=2,
    )
    row, column = divmod(int(seen.losses.argmax()), seen.losses.shape[1])
    cell = side_um / len(seen.losses)
    axes.text(
        -half + (column + 0.5) * cell,
        -half + (row + 0.5) * cell,
        f"\N{MINUS SIGN}{seen.losses.max():.2f}" if seen.losses.max() > 0 else "",
        ha="center",
        va="center",
        fontsize=SMALL_PT,
        fontweight="bold",
        color="white",
        zorder=5,
    )


def _genes(figure: "Figure", found: Explanation) -> None:
    left = _LEFT_IN + 2 * (_PANEL_IN + _GAP_IN) + 1.15
    box = (left / _WIDTH_IN, 1.2 / _HEIGHT_IN, (_WIDTH_IN - left - 0.95) / _WIDTH_IN, 2.6 / _HEIGHT_IN)
    axes = figure.add_axes(box)
    rows = [row for row in found.table.to_pylist() if row["loss"] is not None][:_GENES]
    if rows:
        name = f"score lost without the gene ({found.driven_by})"
        labels, values = [row["gene"] for row in rows], [row["loss"] for row in rows]
        notes = [f"{number(row['query_per_10k'], 1)} | {number(row['hit_per_10k'], 1)}" for row in rows]
        axes.set_title("Genes (counts per 10,000: query | hit)", fontsize=TEXT_PT, loc="left", fontweight="bold")
        draw_bars(axes, Bars("", "", name, labels, values, notes=notes), room_for=_GENES)
        return
    axes.axis("off")
    shared = [row for row in found.table.to_pylist() if row["shared"]][:_GENES]
    if shared:
        title = "Genes high in both (counts per 10,000: query | hit | mean)"
        told = [
            f"{row['gene']}  {row['query_per_10k']:.1f} | {row['hit_per_10k']:.1f} | {row['expected_per_10k']:.1f}"
            for row in shared
        ]
    else:
        title = "Genes high in the hit"
        told = [f"{one['gene']}  {one['fold']:.1f} x the mean of the slides" for one in found.standouts]
    axes.set_title(title, fontsize=TEXT_PT, loc="left", fontweight="bold")
    axes.text(0, 0.98, "\n".join(told or ["no counts"]), va="top", fontsize=TEXT_PT, color=MUTED, linespacing=1.6)


def _labels(found: Explanation) -> str:
    if not found.labelled:
        return ""
    labels = [one["label"] for one in found.labelled]
    best = max(dict.fromkeys(labels), key=labels.count)
    return f"{labels.count(best)} of the {len(labels)} labelled items of other patients nearest to the query: {best}."
