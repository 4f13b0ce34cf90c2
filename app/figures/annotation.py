"""Picture of an annotated slide: its thumbnail under a circle or square of each item in the colour of its class."""

from typing import TYPE_CHECKING

import numpy as np

from app.figures.class_colours import class_colours
from app.figures.pictures import decoded
from app.figures.scale_bar import draw_scale_bar
from app.figures.style import SMALL_PT, TEXT_PT, foot, new_figure, style, titled
from app.tables.hits import index_provenance, is_generated
from search.annotation.annotate import Annotation
from search.annotation.classes import UNASSIGNED
from search.annotation.smoothing import pitch_of
from search.engine import Engine
from search.errors import AnnotationError
from search.profiles import Doubles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIDE_IN, _HEAD_IN, _FOOT_IN, _LEGEND_IN = 5.2, 0.85, 0.5, 1.9
_FILL = 0.92  # of the distance between neighbours


def annotation_figure(found: Annotation, engine: Engine) -> "Figure":
    """Draw the classes of one slide; raises `AnnotationError` for several slides or none with positions."""
    slides = found.table.column("slide").unique().to_pylist()
    xy = np.column_stack([found.table.column(name).to_numpy() for name in ("x_px", "y_px")])
    placed = np.isfinite(xy).all(axis=1)
    if len(slides) != 1 or placed.sum() < 2:
        raise AnnotationError(
            f"A picture shows one slide; these {len(found):,} items are of {len(slides)} and {placed.sum():,} have a "
            "position. Annotate one slide."
        )
    facts = next(row for row in engine.index.slides().to_pylist() if row["slide"] == slides[0])
    um = float(facts["mpp"] or 1.0)
    pitch = pitch_of(xy[placed]) * um
    low, high = xy[placed].min(axis=0) * um - pitch, xy[placed].max(axis=0) * um + pitch
    aspect = float((high[1] - low[1]) / (high[0] - low[0]))
    across, down = (_SIDE_IN, _SIDE_IN * aspect) if aspect <= 1 else (_SIDE_IN / aspect, _SIDE_IN)
    width, height = across + _LEGEND_IN + 0.5, down + _HEAD_IN + _FOOT_IN
    with style():
        figure = new_figure(max(width, 5.6), height)
        named = len(found) - found.n_unassigned
        compared = {"counts": "their own counts", "image": "their image", "expression": "their expression vector"}
        subtitle = f"{len(found):,} {found.kind}s by {compared[found.using]}; {named:,} of a class."
        titled(figure, f"Classes on {slides[0]}", subtitle, generated=is_generated(engine))
        size = figure.get_size_inches()
        axes = figure.add_axes((0.25 / size[0], _FOOT_IN / height, across / size[0], down / height))
        if facts["thumbnail"] is not None:
            scale = um / float(facts["thumbnail_scale"])
            pixels = decoded(facts["thumbnail"])
            axes.imshow(pixels, extent=(0, pixels.shape[1] * scale, pixels.shape[0] * scale, 0), alpha=0.75)
        axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), xticks=[], yticks=[], aspect="equal")
        _draw_classes(axes, found, xy * um, placed, pitch)
        if facts["mpp"]:
            draw_scale_bar(axes, um_per_unit=1.0)
        foot(figure, f"{found.notes[0]} {index_provenance(engine)}")
    return figure


def _draw_classes(axes: "Axes", found: Annotation, xy_um: Doubles, placed: np.ndarray, pitch_um: float) -> None:
    from matplotlib.collections import EllipseCollection
    from matplotlib.patches import Patch

    colours = class_colours(found.classes)
    given = np.array(found.table.column("class").to_pylist(), dtype=object)
    sides = np.full(int(placed.sum()), pitch_um * _FILL)
    shown = [colours[name] for name in given[placed]]
    alpha = np.where(given[placed] == UNASSIGNED, 0.35, 0.85)
    circles = EllipseCollection(
        sides, sides, np.zeros(len(sides)), units="xy", offsets=xy_um[placed], offset_transform=axes.transData
    )
    circles.set(facecolors=shown, alpha=alpha, linewidth=0)
    axes.add_collection(circles)
    counts = {name: int((given == name).sum()) for name in (*found.classes, UNASSIGNED)}
    patches = [Patch(color=colours[name], label=f"{name} ({n:,})") for name, n in counts.items() if n]
    axes.legend(
        handles=patches, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=TEXT_PT,
        title=f"{found.kind}s", title_fontsize=SMALL_PT, alignment="left", handlelength=1.0,
    )  # fmt: skip
