"""Scores of a query over one slide: its thumbnail under circles of the items' true size."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from app.figures.scale_bar import draw_scale_bar
from app.figures.style import INK, MUTED, SCORE_MAP, SMALL_PT, TEXT_PT, VERMILION, foot, new_figure, style, titled
from indexer.slides import Pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIDE_IN, _HEAD_IN, _FOOT_IN, _BAR_IN = 5.2, 0.75, 0.65, 1.1
#: The colour scale spans this share of the scores, so that one outlier does not flatten the map.
_LOW, _HIGH = 1.0, 99.0


@dataclass(frozen=True, slots=True)
class SlideMap:
    """What is drawn: positions are centres in level-0 pixels.

    Attributes
    ----------
    xy_px : float64 (n, 2)
        Centres of the items.
    values : float64 (n,)
        Their scores; NaN is drawn in grey.
    mpp : float
        Micrometres per level-0 pixel.
    item_um : float
        Diameter of the circles.
    thumbnail : uint8 (h, w, 3) or None
        The slide, `thumbnail_scale` pixels per level-0 pixel.
    mark_px : (float, float) or None
        Centre of an item to be ringed and named `mark_name`.
    """

    title: str
    subtitle: str
    value_name: str
    xy_px: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    mpp: float
    item_um: float
    thumbnail: Pixels | None = None
    thumbnail_scale: float = 1.0
    mark_px: tuple[float, float] | None = None
    mark_name: str = ""
    provenance: str = ""
    generated: bool = False


def map_figure(view: SlideMap) -> "Figure":
    """Draw one slide map with its colour bar."""
    low, high = _frame_um(view)
    aspect = (high[1] - low[1]) / (high[0] - low[0])
    across, down = (_SIDE_IN, _SIDE_IN * aspect) if aspect <= 1 else (_SIDE_IN / aspect, _SIDE_IN)
    width, height = max(across + 0.5 + _BAR_IN, 5.6), down + _HEAD_IN + _FOOT_IN
    with style():
        figure = new_figure(width, height)
        titled(figure, view.title, view.subtitle, generated=view.generated)
        axes = figure.add_axes((0.25 / width, _FOOT_IN / height, across / width, down / height))
        bar = figure.add_axes(
            ((0.25 + across + 0.2) / width, (_FOOT_IN + down * 0.2) / height, 0.13 / width, down * 0.6 / height)
        )
        draw_map(axes, view, colour_bar=bar)
        foot(figure, view.provenance)
    return figure


def draw_map(axes: "Axes", view: SlideMap, *, colour_bar: "Axes | None" = None) -> None:
    """Draw the map into `axes`, in micrometres, y downwards as in the image."""
    from matplotlib.collections import EllipseCollection

    low, high = _frame_um(view)
    if view.thumbnail is not None:
        height, width = view.thumbnail.shape[:2]
        um = view.mpp / view.thumbnail_scale
        axes.imshow(view.thumbnail, extent=(0, width * um, height * um, 0), alpha=0.75, interpolation="lanczos")
    finite = view.values[np.isfinite(view.values)]
    limits = np.percentile(finite, [_LOW, _HIGH]) if len(finite) else (0.0, 1.0)
    sides = np.full(len(view.values), view.item_um)
    circles = EllipseCollection(
        sides, sides, np.zeros(len(sides)), units="xy", offsets=view.xy_px * view.mpp, offset_transform=axes.transData
    )
    circles.set(array=np.ma.masked_invalid(view.values), clim=limits, cmap=SCORE_MAP, alpha=0.85, linewidth=0)
    axes.add_collection(circles)
    axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), xticks=[], yticks=[], aspect="equal")
    for spine in axes.spines.values():
        spine.set_visible(True)
    if view.mark_px is not None:
        x, y = np.asarray(view.mark_px) * view.mpp
        axes.plot(x, y, "o", markersize=11, markerfacecolor="none", markeredgecolor="white", markeredgewidth=3.2)
        axes.plot(x, y, "o", markersize=11, markerfacecolor="none", markeredgecolor=VERMILION, markeredgewidth=1.8)
        axes.annotate(
            view.mark_name, (x, y), xytext=(9, 6), textcoords="offset points", fontsize=SMALL_PT, fontweight="bold",
            color=INK, bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip
    draw_scale_bar(axes, um_per_unit=1.0)
    if colour_bar is not None:
        _draw_colour_bar(colour_bar, circles, view.value_name)


def _draw_colour_bar(axes: "Axes", mappable: "object", name: str) -> None:
    from matplotlib.collections import EllipseCollection

    if isinstance(mappable, EllipseCollection):
        bar = axes.figure.colorbar(mappable, cax=axes)
        bar.outline.set_visible(False)
        if bar.solids is not None:
            bar.solids.set_alpha(1)
        axes.tick_params(labelsize=SMALL_PT, colors=MUTED)
        axes.set_title(name, fontsize=TEXT_PT, loc="left", pad=6)


def _frame_um(view: SlideMap) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Corners of what is shown: the items with a margin, cut to the image where there is one."""
    xy = view.xy_px * view.mpp
    margin = max(2.0 * view.item_um, 0.04 * float(np.ptp(xy, axis=0).max()))
    low, high = xy.min(axis=0) - margin, xy.max(axis=0) + margin
    if view.thumbnail is not None:
        height, width = view.thumbnail.shape[:2]
        edge = np.array([width, height]) * view.mpp / view.thumbnail_scale
        low, high = np.maximum(low, 0), np.minimum(high, edge)
    return low, high
