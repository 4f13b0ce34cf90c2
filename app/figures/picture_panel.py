"""One item as a picture: its patch at a stated physical scale, or its place on a section without an image."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from app.figures.scale_bar import draw_scale_bar
from app.figures.style import INK, MUTED, RULE, SMALL_PT, TEXT_PT, VERMILION
from indexer.slides import Pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class SectionPlace:
    """Where an item without an image lies: centres of its section's spots in micrometres, and its own.

    Without `here_um` it stands for the whole section, and is drawn at the scale of the other panels.
    """

    xy_um: npt.NDArray[np.float64]
    here_um: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Picture:
    """One panel of a gallery.

    Attributes
    ----------
    heading : str
        Bold line above it: `Query`, or the rank.
    lines : tuple of str
        Score, p-value and provenance, written below.
    pixels : uint8 (h, w, 3) or None
        The patch, `side_um` micrometres wide.
    side_um, spot_um : float or None
        Side of the patch and diameter of the spot in micrometres.
    place : SectionPlace or None
        Drawn where there are no pixels.
    """

    heading: str
    lines: tuple[str, ...]
    pixels: Pixels | None = None
    side_um: float | None = None
    spot_um: float | None = None
    place: SectionPlace | None = None
    generated: bool = False


def common_side_um(pictures: "list[Picture]") -> float:
    """Field of view that shows every patch whole at one scale; 100 um where none has pixels."""
    return max((p.side_um for p in pictures if p.pixels is not None and p.side_um), default=100.0)


def draw_picture(axes: "Axes", picture: Picture, *, field_um: float) -> None:
    """Draw `picture` into `axes`, which shows `field_um` micrometres across, with its lines below."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(VERMILION if picture.heading == "Query" else RULE)
        spine.set_linewidth(1.6 if picture.heading == "Query" else 0.8)
    if picture.pixels is not None:
        _draw_patch(axes, picture, picture.pixels, field_um)
    elif picture.place is not None:
        _draw_place(axes, picture.place, field_um)
    else:
        axes.text(0.5, 0.5, "no image", transform=axes.transAxes, ha="center", va="center", color=MUTED)
        axes.set_facecolor("#f4f6f7")
    axes.set_title(picture.heading, loc="left", fontsize=TEXT_PT, fontweight="bold", pad=3, color=INK)
    if picture.lines:
        axes.text(
            0,
            -0.04,
            "\n".join(picture.lines),
            transform=axes.transAxes,
            ha="left",
            va="top",
            fontsize=SMALL_PT,
            linespacing=1.35,
        )


def _draw_patch(axes: "Axes", picture: Picture, pixels: Pixels, field_um: float) -> None:
    from matplotlib.patches import Circle

    half = (picture.side_um or field_um) / 2
    axes.imshow(pixels, extent=(-half, half, half, -half), interpolation="lanczos", zorder=1)
    axes.set_xlim(-field_um / 2, field_um / 2)
    axes.set_ylim(field_um / 2, -field_um / 2)
    if picture.spot_um:
        for colour, width in (("white", 2.2), (INK, 1.0)):  # dark on light, to be seen on any tissue
            axes.add_patch(Circle((0, 0), picture.spot_um / 2, fill=False, color=colour, linewidth=width, zorder=3))
    draw_scale_bar(axes, um_per_unit=1.0)


def _draw_place(axes: "Axes", place: SectionPlace, field_um: float) -> None:
    low, high = place.xy_um.min(axis=0), place.xy_um.max(axis=0)
    centre = (low + high) / 2
    half = field_um / 2 if place.here_um is None else float((high - low).max()) / 2 * 1.15 + 1
    axes.scatter(place.xy_um[:, 0], place.xy_um[:, 1], s=3, color="#a9b4bc", linewidths=0, zorder=1)
    if place.here_um is not None:
        x, y = place.here_um
        axes.scatter([x], [y], s=42, color=VERMILION, edgecolors="white", linewidths=0.8, zorder=3)
    axes.set_xlim(centre[0] - half, centre[0] + half)
    axes.set_ylim(centre[1] + half, centre[1] - half)
    axes.set_aspect("equal")
    # In the corner where it does not cover the mark.
    draw_scale_bar(axes, um_per_unit=1.0, at_right=place.here_um is not None and place.here_um[0] < centre[0])
