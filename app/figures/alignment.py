"""Picture of a slide laid over another: both as they lie, then the one on the other."""

from typing import TYPE_CHECKING

import numpy as np

from app.figures.scale_bar import draw_scale_bar
from app.figures.style import MUTED, SCORE_MAP, SMALL_PT, TEXT_PT, foot, new_figure, style, titled
from app.tables.hits import index_provenance, is_generated
from encoders.contracts import Vectors
from search.catalogue import Rows
from search.engine import Engine
from search.item_rows import vectors_of
from search.profiles import Doubles
from search.sections.section_alignment import SlideAlignment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH_IN, _HEIGHT_IN, _TOP_IN, _BOTTOM_IN = 10.0, 4.3, 0.85, 0.4
_DOT_SHARE = 0.62  # of the distance between neighbours


def alignment_figure(found: SlideAlignment, engine: Engine) -> "Figure":
    """Draw both slides and the one on the other; places are coloured by what tells them apart most.

    The colour is the first principal component of the vectors of both slides, each centred on its own mean, so tissue
    that is alike has one colour on both.
    """
    catalogue = engine.catalogue
    moved_rows = catalogue.rows_of(found.table.column("id").to_pylist())
    other_rows = catalogue.rows_where("slide", found.other)
    placed = catalogue.has(found.using[1])[other_rows] & (catalogue.column("kind")[other_rows] != "slide")
    other_rows = other_rows[placed]
    colours = _first_component(
        [vectors_of(catalogue, moved_rows, found.using[0]), vectors_of(catalogue, other_rows, found.using[1])]
    )
    mpp = float(catalogue.column("mpp")[other_rows[0]])
    own_mpp = float(catalogue.column("mpp")[moved_rows[0]])
    table = found.table.to_pandas()
    moved = table[["moved_x_px", "moved_y_px"]].to_numpy() * mpp
    places = (table[["x_px", "y_px"]].to_numpy() * own_mpp, _places(engine, other_rows) * mpp)
    with style():
        figure = new_figure(_WIDTH_IN, _HEIGHT_IN)
        turned = f"turned by {found.turned_degrees:.1f}°, scale {found.scale:.2f}, {found.model}"
        subtitle = f"Median residual {found.residual_um:.0f} µm; {turned}{', mirrored' if found.mirrored else ''}."
        titled(figure, f"{found.slide} laid over {found.other}", subtitle, generated=is_generated(engine))
        axes = [_axes(figure, i) for i in range(3)]
        _draw(axes[0], places[0], colours[0], f"{found.slide} as it lies")
        _draw(axes[1], places[1], colours[1], f"{found.other} as it lies")
        axes[2].scatter(
            places[1][:, 0],
            places[1][:, 1],
            s=_size(axes[2], places[1]),
            facecolors="none",
            edgecolors=MUTED,
            linewidths=0.6,
        )
        _draw(axes[2], moved, colours[0], f"{found.slide} on {found.other} (rings)")
        foot(figure, f"Colour: first principal component of the vectors. {index_provenance(engine)}")
    return figure


def _axes(figure: "Figure", i: int) -> "Axes":
    width, height = 1 / 3, (_HEIGHT_IN - _TOP_IN - _BOTTOM_IN) / _HEIGHT_IN
    return figure.add_axes((i * width + 0.01, _BOTTOM_IN / _HEIGHT_IN, width - 0.02, height))


def _draw(axes: "Axes", xy_um: Doubles, values: Doubles, title: str) -> None:
    axes.set_aspect("equal", adjustable="datalim")
    axes.axis("off")
    axes.scatter(
        xy_um[:, 0], xy_um[:, 1], c=values, s=_size(axes, xy_um), cmap=SCORE_MAP, vmin=-2, vmax=2, linewidths=0
    )
    axes.set_title(title, fontsize=TEXT_PT)
    if not axes.yaxis_inverted():
        axes.invert_yaxis()
    draw_scale_bar(axes, um_per_unit=1.0)


def _rings(axes: "Axes", xy_um: Doubles) -> None:
    size = _size(axes, xy_um)
    axes.scatter(xy_um[:, 0], xy_um[:, 1], s=size, facecolors="none", edgecolors=MUTED, linewidths=0.6)


def _size(axes: "Axes", xy_um: Doubles) -> float:
    """Area in square points of a dot of about the distance between neighbours."""
    extent = float(max(np.ptp(xy_um, axis=0).max(), 1.0))
    apart = np.sqrt(np.prod(np.maximum(np.ptp(xy_um, axis=0), 1.0)) / len(xy_um))
    inches = min(axes.get_position().width * _WIDTH_IN, axes.get_position().height * _HEIGHT_IN)
    return float(max(SMALL_PT / 3, 72 * inches * _DOT_SHARE * apart / extent) ** 2)


def _places(engine: Engine, rows: Rows) -> Doubles:
    columns = [engine.catalogue.column(name)[rows] for name in ("x_px", "y_px")]
    return np.column_stack(columns).astype(np.float64)


def _first_component(vectors: list[Vectors]) -> list[Doubles]:
    centred = [part - part.mean(axis=0, dtype=np.float64) for part in vectors]
    _, _, axes = np.linalg.svd(np.concatenate(centred), full_matrices=False)
    along = [part @ axes[0] for part in centred]
    return [part / max(float(part.std()), 1e-9) for part in along]
