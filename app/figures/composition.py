"""Picture of a slide's cell types: its thumbnail under a pie of each place, or the colour of its most common type."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from app.errors import ShowError
from app.figures.class_colours import class_colours
from app.figures.pictures import decoded
from app.figures.scale_bar import draw_scale_bar
from app.figures.style import MUTED, SMALL_PT, TEXT_PT, foot, new_figure, style, titled
from app.tables.hits import index_provenance, is_generated
from search.annotation.smoothing import pitch_of
from search.cells.slide_composition import SlideComposition, TypeShares
from search.engine import Engine
from search.profiles import Doubles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Map = Literal["auto", "pies", "dominant"]
MOST_PIES = 1_000  # beyond, a pie is a few pixels wide
_SIDE_IN, _HEAD_IN, _FOOT_IN, _LEGEND_IN = 5.6, 0.85, 0.6, 2.3
_FILL = 0.92  # of the distance between neighbours
_MOST_COLOURS = 7  # that every eye can tell apart
_OTHERS, _OTHERS_COLOUR = "other types", "#B8BEC4"
_TURN = 48  # corners of a full circle
_RIM_PT = 0.3


class _Drawn(NamedTuple):
    """What has a colour: names, `#RRGGBB` of each, shares float64 `(n, n_names)`, and centres in micrometres."""

    names: tuple[str, ...]
    colours: tuple[str, ...]
    shares: Doubles
    xy_um: Doubles


def composition_figure(
    found: SlideComposition, engine: Engine, *, kind: Map = "auto", colours: Mapping[str, str] | None = None
) -> "Figure":
    """Draw the cell types of a slide.

    The coarser types of the reference are drawn where it has some and more than seven finer ones; beyond seven, the
    rarest are one grey. `colours` are `#RRGGBB` of the types, by default told apart by every eye.

    Raises
    ------
    ShowError
        If fewer than two places lie somewhere.
    """
    facts = next(row for row in engine.index.slides().to_pylist() if row["slide"] == found.slide)
    um = float(facts["mpp"] or 1.0)
    drawn = _drawn(found, um, colours)
    pitch = pitch_of(drawn.xy_um)
    low, high = drawn.xy_um.min(axis=0) - pitch, drawn.xy_um.max(axis=0) + pitch
    aspect = float((high[1] - low[1]) / (high[0] - low[0]))
    across, down = (_SIDE_IN, _SIDE_IN * aspect) if aspect <= 1 else (_SIDE_IN / aspect, _SIDE_IN)
    width, height = max(across + _LEGEND_IN + 0.5, 6.4), down + _HEAD_IN + _FOOT_IN
    pies = kind == "pies" or (kind == "auto" and len(drawn.xy_um) <= MOST_PIES)
    with style():
        figure = new_figure(width, height)
        shown = "share of each type" if pies else "most common type"
        told = {"counts": "their own counts", "hits": "the counts of their hits", "vectors": "their vectors"}
        subtitle = f"{len(drawn.xy_um):,} places from {told[found.source]} ({found.method}): {shown}."
        titled(figure, f"Cell types on {found.slide}", subtitle, generated=is_generated(engine))
        axes = figure.add_axes((0.25 / width, _FOOT_IN / height, across / width, down / height))
        if facts["thumbnail"] is not None:
            scale = um / float(facts["thumbnail_scale"])
            pixels = decoded(facts["thumbnail"])
            axes.imshow(pixels, extent=(0, pixels.shape[1] * scale, pixels.shape[0] * scale, 0), alpha=0.6)
        axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), xticks=[], yticks=[], aspect="equal")
        _draw(axes, drawn, pitch * _FILL / 2, pies=pies)
        _legend(axes, drawn, found.of)
        if facts["mpp"]:
            draw_scale_bar(axes, um_per_unit=1.0)
        foot(figure, " ".join([*found.notes[:1], index_provenance(engine)]))
    return figure


def _drawn(found: SlideComposition, um: float, given: Mapping[str, str] | None) -> _Drawn:
    kinds = np.array(found.table.column("kind").to_pylist())
    xy = np.column_stack([found.table.column(name).to_numpy() for name in ("x_px", "y_px")]).astype(np.float64)
    names, counts = np.unique(kinds, return_counts=True)
    placed = np.isfinite(xy).all(axis=1) & (kinds == names[counts.argmax()])
    if placed.sum() < 2:
        raise ShowError(
            f"Only {int(placed.sum())} places of slide {found.slide!r} have a position, which makes no map; write .csv."
        )
    shares: TypeShares = found.shares
    if found.coarse is not None and len(shares.types) > _MOST_COLOURS:
        shares = found.coarse
    values = shares.proportions[placed]
    order = np.argsort(-values.mean(axis=0), kind="stable")
    first = order[:_MOST_COLOURS]
    named = tuple(shares.types[t] for t in first)
    palette = given if given is not None and set(named) <= given.keys() else class_colours(named)
    colours = tuple(palette[name] for name in named)
    columns = values[:, first]
    if len(order) > len(first):
        named, colours = (*named, _OTHERS), (*colours, _OTHERS_COLOUR)
        columns = np.column_stack([columns, values[:, order[_MOST_COLOURS:]].sum(axis=1)])
    return _Drawn(named, colours, columns, xy[placed] * um)


def _draw(axes: "Axes", drawn: _Drawn, radius: float, *, pies: bool) -> None:
    from matplotlib.collections import PolyCollection

    there = drawn.shares.any(axis=1)
    centres, shares = drawn.xy_um[there], drawn.shares[there]
    if pies:
        ends = np.cumsum(shares, axis=1)
        for part, colour in enumerate(drawn.colours):
            starts = ends[:, part] - shares[:, part]
            wedges = [
                _wedge(centre, radius, start, end)
                for centre, start, end in zip(centres, starts, ends[:, part], strict=True)
                if end - start > 1e-3
            ]
            axes.add_collection(PolyCollection(wedges, facecolors=colour, linewidths=0, alpha=0.95))
    # Around the light colours too, which hardly differ from pale tissue.
    discs = [_wedge(centre, radius, 0.0, 1.0)[1:] for centre in centres]
    fill = "none" if pies else [drawn.colours[part] for part in shares.argmax(axis=1)]
    axes.add_collection(PolyCollection(discs, facecolors=fill, edgecolors=MUTED, linewidths=_RIM_PT))


def _wedge(centre: Doubles, radius: float, start: float, end: float) -> npt.NDArray[np.float64]:
    """Corners of a slice of a pie from 12 o'clock on, clockwise; y runs downwards."""
    angles = 2 * np.pi * np.linspace(start, end, max(2, int(np.ceil(_TURN * (end - start))) + 1))
    rim = centre + radius * np.column_stack([np.sin(angles), -np.cos(angles)])
    return np.vstack([centre, rim])


def _legend(axes: "Axes", drawn: _Drawn, of: str) -> None:
    from matplotlib.patches import Patch

    means = drawn.shares.mean(axis=0)
    patches = [
        Patch(facecolor=colour, edgecolor=MUTED, linewidth=_RIM_PT, label=f"{name} ({mean:.0%})")
        for name, colour, mean in zip(drawn.names, drawn.colours, means, strict=True)
    ]
    axes.legend(
        handles=patches, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=TEXT_PT,
        title=f"mean share of the {'RNA' if of == 'rna' else 'cells'}", title_fontsize=SMALL_PT, alignment="left",
        handlelength=1.0,
    )  # fmt: skip
