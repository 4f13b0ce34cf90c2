"""A query beside its hits, all at one physical scale, each with its score and provenance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.figures.picture_panel import Picture, common_side_um, draw_picture
from app.figures.style import RULE, foot, new_figure, style, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANEL_IN, _GAP_IN, _MARGIN_IN = 1.62, 0.24, 0.25
_HEAD_IN, _FOOT_IN, _LINE_IN = 0.95, 0.5, 0.128
_COLUMNS = 5


@dataclass(frozen=True, slots=True)
class Gallery:
    """A query panel, its hits, and the sentences around them. `query` is None for a query without a picture."""

    title: str
    subtitle: str
    query: Picture | None
    hits: Sequence[Picture]
    provenance: str


def gallery_figure(gallery: Gallery) -> "Figure":
    """Draw the gallery: the query in a column of its own, then the hits in rows of five."""
    pictures = [*([gallery.query] if gallery.query else []), *gallery.hits]
    generated = any(picture.generated for picture in pictures)
    n_rows = max(1, -(-len(gallery.hits) // _COLUMNS))
    n_lines = max((len(picture.lines) for picture in pictures), default=0)
    step_y = _PANEL_IN + 0.3 + n_lines * _LINE_IN
    offset = (_PANEL_IN + 2 * _GAP_IN) if gallery.query else 0.0
    n_columns = min(_COLUMNS, max(1, len(gallery.hits)))
    width = 2 * _MARGIN_IN + offset + n_columns * (_PANEL_IN + _GAP_IN) - _GAP_IN
    width = max(width, 6.5)  # room for the sentences
    height = _HEAD_IN + n_rows * step_y + _FOOT_IN
    field_um = common_side_um(pictures)
    with style():
        figure = new_figure(width, height)
        titled(figure, gallery.title, gallery.subtitle, generated=generated)

        def place(picture: Picture, left: float, row: int) -> None:
            bottom = height - _HEAD_IN - row * step_y - _PANEL_IN
            axes = figure.add_axes((left / width, bottom / height, _PANEL_IN / width, _PANEL_IN / height))
            draw_picture(axes, picture, field_um=field_um)

        if gallery.query:
            place(gallery.query, _MARGIN_IN, 0)
            _rule(figure, (_MARGIN_IN + _PANEL_IN + _GAP_IN) / width, height)
        for number, picture in enumerate(gallery.hits):
            row, column = divmod(number, _COLUMNS)
            place(picture, _MARGIN_IN + offset + column * (_PANEL_IN + _GAP_IN), row)
        foot(figure, gallery.provenance)
    return figure


def _rule(figure: "Figure", x: float, height_in: float) -> None:
    from matplotlib.lines import Line2D

    low, high = _FOOT_IN / height_in, 1 - (_HEAD_IN - 0.2) / height_in
    figure.add_artist(Line2D([x, x], [low, high], color=RULE, linewidth=0.8))
