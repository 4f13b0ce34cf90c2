"""One picture of the whole: a query, its hits, where they lie, and what they say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.figures.bars import Bars, draw_bars
from app.figures.picture_panel import Picture, common_side_um, draw_picture
from app.figures.slide_map import SlideMap, draw_map
from app.figures.style import MUTED, SMALL_PT, TEXT_PT, foot, new_figure, style, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH_IN, _HEIGHT_IN = 12.0, 8.1
_PANEL_IN, _GAP_IN, _MARGIN_IN = 1.6, 0.26, 0.3
_HITS, _ROOM = 5, 10


@dataclass(frozen=True, slots=True)
class Overview:
    """What the picture is made of; `sentences` stand above its four parts."""

    title: str
    subtitle: str
    query: Picture
    hits: Sequence[Picture]
    slide_map: SlideMap
    left_bars: Bars
    right_bars: Bars
    provenance: str

    @property
    def generated(self) -> bool:
        """Whether any part shows generated data."""
        return self.slide_map.generated or any(picture.generated for picture in (self.query, *self.hits))


def overview_figure(view: Overview) -> "Figure":
    """Draw the query beside its hits above, and the map and two charts below."""
    with style():
        figure = new_figure(_WIDTH_IN, _HEIGHT_IN)
        titled(figure, view.title, view.subtitle, generated=view.generated)
        field_um = common_side_um([view.query, *view.hits])
        top = _HEIGHT_IN - 1.05 - _PANEL_IN
        draw_picture(_axes(figure, _MARGIN_IN, top, _PANEL_IN, _PANEL_IN), view.query, field_um=field_um)
        for place, hit in enumerate(view.hits[:_HITS]):
            left = _MARGIN_IN + _PANEL_IN + 0.5 + place * (_PANEL_IN + _GAP_IN)
            draw_picture(_axes(figure, left, top, _PANEL_IN, _PANEL_IN), hit, field_um=field_um)
        _map_part(figure, view.slide_map)
        _bars_part(figure, view.left_bars, left=5.85, width=1.45)
        _bars_part(figure, view.right_bars, left=9.65, width=2.05)
        foot(figure, view.provenance)
    return figure


def _map_part(figure: "Figure", view: SlideMap) -> None:
    axes = _axes(figure, _MARGIN_IN, 0.55, 3.5, 3.5)
    axes.set_anchor("N")  # its upper edge in line with the charts
    bar = _axes(figure, _MARGIN_IN + 3.68, 1.75, 0.11, 2.0)
    draw_map(axes, view, colour_bar=bar)
    _heading(axes, view.title, view.subtitle)


def _bars_part(figure: "Figure", bars: Bars, *, left: float, width: float) -> None:
    axes = _axes(figure, left, 0.95, width, 3.1)
    draw_bars(axes, bars, room_for=_ROOM)
    _heading(axes, bars.title, bars.subtitle)


def _heading(axes: "Axes", title: str, subtitle: str) -> None:
    axes.set_title(f"{title}\n", loc="left", fontsize=TEXT_PT + 0.5, fontweight="bold", pad=6)
    axes.text(0, 1, subtitle, transform=axes.transAxes, fontsize=SMALL_PT, color=MUTED, va="bottom")


def _axes(figure: "Figure", left: float, bottom: float, width: float, height: float) -> "Axes":
    """Axes placed in inches from the lower left corner."""
    return figure.add_axes((left / _WIDTH_IN, bottom / _HEIGHT_IN, width / _WIDTH_IN, height / _HEIGHT_IN))
