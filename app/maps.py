"""Clickable slide maps: the slide's thumbnail with its items on it, in level-0 pixels, y downwards."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from app.figures.class_colours import OKABE_ITO
from app.figures.scale_bar import length_text, round_length_um

#: Colour maps a colour-blind reader can follow; the first is the default.
COLOUR_MAPS = ("Viridis", "Cividis")
CHOSEN_COLOUR = "#ea580c"
POINT_COLOUR = "#0f766e"
GROUP_COLOURS = (*OKABE_ITO, "#666666")

_OTHER, _OTHER_COLOUR = "other", "#a3a3a3"
_UNTOLD_COLOUR = "#8b95a1"  # of points without a class
_SYMBOLS = {"spot": "circle", "tile": "square", "cell": "circle"}
_MIN_MARKER, _MAX_MARKER, _UNKNOWN_MARKER = 4.0, 26.0, 9.0


@dataclass(frozen=True, slots=True)
class SlideView:
    """What is needed to draw one slide.

    Attributes
    ----------
    slide : str
        Its name.
    width_px, height_px : float
        Extent at level 0.
    mpp : float or None
        Micrometres per pixel at level 0; without it there is no scale bar.
    thumbnail : bytes or None
        JPEG of the whole slide.
    """

    slide: str
    width_px: float
    height_px: float
    mpp: float | None = None
    thumbnail: bytes | None = None

    @classmethod
    def from_row(cls, row: Mapping[Any, Any], points: pd.DataFrame) -> "SlideView":
        """View of one row of the `slides` table; without an image the extent is that of the points, with a margin."""
        width, height = _positive(row.get("width_px")), _positive(row.get("height_px"))
        if width is None or height is None:
            width = 1.05 * float(points["x_px"].max()) if len(points) else 1.0
            height = 1.05 * float(points["y_px"].max()) if len(points) else 1.0
        return cls(str(row["slide"]), width, height, _positive(row.get("mpp")), row.get("thumbnail"))


@dataclass(frozen=True, slots=True)
class PointColours:
    """One value per point, shown by colour.

    Attributes
    ----------
    by_point : float64 (n,)
        NaN where there is none; such points are left grey.
    name : str
        Written beside the colour bar.
    colour_map : str
        One of `COLOUR_MAPS`.
    """

    by_point: npt.NDArray[np.float64]
    name: str
    colour_map: str = COLOUR_MAPS[0]

    @property
    def limits(self) -> tuple[float, float]:
        """2nd and 98th percentile, since one outlier must not flatten the map; the range where those are one."""
        known = self.by_point[np.isfinite(self.by_point)]
        if not known.size:
            return 0.0, 1.0
        low, high = np.percentile(known, [2, 98]).tolist()
        if high <= low:  # a gene that is counted in few spots
            low, high = float(known.min()), float(known.max())
        return low, high if high > low else low + 1e-6


@dataclass(frozen=True, slots=True)
class Classes:
    """One name a point, `None` where there is none.

    Attributes
    ----------
    by_point : sequence of (str or None)
        Names; the most frequent get a colour of their own, the rest are shown as "other".
    name : str
        What the names are.
    palette : mapping, optional
        Colour of each name, `#RRGGBB`, in the order of the legend; by default the most frequent come first.
    """

    by_point: tuple[str | None, ...]
    name: str
    palette: Mapping[str, str] | None = None

    def coded(self) -> tuple[npt.NDArray[np.float64], list[str], list[str]]:
        """Number of each point's class (NaN without), the classes' names, their colours."""
        if self.palette is not None:
            known = {one: float(code) for code, one in enumerate(self.palette)}
            return (
                np.array([np.nan if one is None else known[one] for one in self.by_point]),
                list(self.palette),
                list(self.palette.values()),
            )
        counts: dict[str, int] = {}
        for one in self.by_point:
            if one is not None:
                counts[one] = counts.get(one, 0) + 1
        ordered = sorted(counts, key=lambda one: (-counts[one], one))
        own = ordered if len(ordered) <= len(GROUP_COLOURS) else ordered[: len(GROUP_COLOURS) - 1]
        names = own if len(own) == len(ordered) else [*own, _OTHER]
        code_of = {one: min(code, len(names) - 1) for code, one in enumerate(ordered)}
        colours = [*GROUP_COLOURS[: len(own)], *([_OTHER_COLOUR] if len(own) < len(ordered) else [])]
        return np.array([np.nan if one is None else code_of[one] for one in self.by_point]), names, colours


class Window(NamedTuple):
    """Part of a slide, level-0 pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Level-0 pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Level-0 pixels."""
        return self.bottom - self.top


def slide_map(
    view: SlideView,
    points: pd.DataFrame,
    *,
    colours: PointColours | Classes | None = None,
    chosen: str | None = None,
    opacity: float = 0.55,
    height: int = 560,
) -> go.Figure:
    """Draw a slide with its items; a click on one gives its id as `customdata[0]`.

    Parameters
    ----------
    view : SlideView
        The slide.
    points : DataFrame
        Columns `id`, `kind`, `x_px`, `y_px` (centres, level 0), `label`, `side_px`, `spot_um` of `ITEM_METADATA`.
    colours : PointColours or Classes, optional
        Values or classes to colour by, in the order of `points`; one colour for all without it.
    chosen : str, optional
        Id of the item drawn as picked.
    opacity : float
        Of the points over the tissue, 0 to 1.
    height : int
        Of the figure, in screen pixels.
    """
    figure = go.Figure()
    window = shown_window(view, points)
    per_px = height / max(window.height, window.width)  # screen pixels per level-0 pixel, about
    for kind, group in points.reset_index(drop=True).groupby("kind", sort=True):
        figure.add_trace(_points_trace(str(kind), group, view, colours, chosen, opacity, per_px))
    _frame(figure, view, window, height)
    if view.mpp:
        _add_scale_bar(figure, window, view.mpp)
    if isinstance(colours, PointColours):
        figure.update_layout(coloraxis=_colour_axis(colours))
    elif colours is not None:
        _add_legend(figure, colours)
    return figure


def _points_trace(
    kind: str,
    group: pd.DataFrame,
    view: SlideView,
    colours: PointColours | Classes | None,
    chosen: str | None,
    opacity: float,
    per_px: float,
) -> go.Scatter:
    size = _marker_size(kind, group, view, per_px)
    marker: dict[str, Any] = {"size": size, "symbol": _SYMBOLS.get(kind, "diamond"), "color": POINT_COLOUR}
    shown = [f"<br>{label}" if isinstance(label, str) else "" for label in group["label"]]
    if isinstance(colours, PointColours):
        values = colours.by_point[group.index.to_numpy()]
        marker |= {"color": values, "coloraxis": "coloraxis"}
        shown = [f"{label}<br>{colours.name} {value:.3f}" for label, value in zip(shown, values, strict=True)]
    elif colours is not None:
        codes, names, palette = colours.coded()
        told = [None if np.isnan(codes[row]) else int(codes[row]) for row in group.index]
        marker["color"] = [_UNTOLD_COLOUR if code is None else palette[code] for code in told]
        shown = [f"{label}<br>{'' if code is None else names[code]}" for label, code in zip(shown, told, strict=True)]
    picked = np.flatnonzero((group["id"] == chosen).to_numpy()).tolist()
    return go.Scatter(
        x=group["x_px"],
        y=group["y_px"],
        mode="markers",
        name=f"{kind}s",
        customdata=group[["id"]].to_numpy(),
        text=shown,
        hovertemplate="<b>%{customdata[0]}</b>%{text}<extra></extra>",
        marker={**marker, "opacity": opacity, "line": {"width": 1, "color": "rgba(255,255,255,0.75)"}},
        selectedpoints=picked or None,
        selected={"marker": {"color": CHOSEN_COLOUR, "opacity": 1.0, "size": size + 5}},
        unselected={"marker": {"opacity": opacity, "size": size}},
        showlegend=False,
    )


def _marker_size(kind: str, group: pd.DataFrame, view: SlideView, per_px: float) -> float:
    """Diameter on the screen: the item's own size where it is known, within what can be hit with a mouse."""
    sides = group["side_px"].dropna()
    if kind == "spot" and view.mpp:
        sides = group["spot_um"].dropna() / view.mpp
    if sides.empty:
        return _UNKNOWN_MARKER
    side_px = float(sides.iloc[len(sides) // 2])  # items of one kind on one slide are of one size
    return float(np.clip(side_px * per_px, _MIN_MARKER, _MAX_MARKER))


def shown_window(view: SlideView, points: pd.DataFrame) -> Window:
    """What is shown at first: the points with a margin; the whole slide without any."""
    x, y = points["x_px"].dropna(), points["y_px"].dropna()
    if x.empty or y.empty:
        return Window(0.0, 0.0, view.width_px, view.height_px)
    margin = 0.06 * max(np.ptp(x), np.ptp(y), 0.05 * view.width_px)
    left, top = max(0.0, x.min() - margin), max(0.0, y.min() - margin)
    right, bottom = min(view.width_px, x.max() + margin), min(view.height_px, y.max() + margin)
    return Window(float(left), float(top), float(right), float(bottom))


def _frame(figure: go.Figure, view: SlideView, window: Window, height: int) -> None:
    """Axes in level-0 pixels: equal aspect, y downwards, the thumbnail underneath."""
    hidden = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": "", "showline": False}
    figure.update_xaxes(range=[window.left, window.right], constrain="domain", constraintoward="left", **hidden)
    figure.update_yaxes(
        range=[window.bottom, window.top],
        scaleanchor="x",
        scaleratio=1,
        constrain="domain",
        constraintoward="top",
        **hidden,
    )
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        dragmode="pan",
        hovermode="closest",
        uirevision=view.slide,
        plot_bgcolor="rgba(0,0,0,0)",
        paper_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"align": "left"},
        modebar={"bgcolor": "rgba(255,255,255,0.8)", "color": "#52606d", "activecolor": POINT_COLOUR},
    )
    if view.thumbnail:
        figure.add_layout_image(
            source="data:image/jpeg;base64," + base64.b64encode(view.thumbnail).decode("ascii"),
            xref="x",
            yref="y",
            x=0,
            y=0,
            sizex=view.width_px,
            sizey=view.height_px,
            sizing="stretch",
            layer="below",
        )


def _add_scale_bar(figure: go.Figure, window: Window, mpp: float) -> None:
    length_um = round_length_um(window.width * mpp, share=0.2)
    length_px = length_um / mpp
    left, bottom = window.left + 0.03 * window.width, window.bottom - 0.035 * window.height
    thick = 0.008 * window.height
    figure.add_shape(
        type="rect",
        x0=left,
        x1=left + length_px,
        y0=bottom,
        y1=bottom + thick,
        fillcolor="#111827",
        line={"width": 1, "color": "#ffffff"},
        name="scale bar",
    )
    figure.add_annotation(
        x=left + length_px / 2,
        y=bottom - thick,
        text=f"<b>{length_text(length_um)}</b>",
        showarrow=False,
        yanchor="bottom",
        font={"size": 13, "color": "#111827"},
        bgcolor="rgba(255,255,255,0.8)",
        borderpad=2,
    )


def _add_legend(figure: go.Figure, classes: Classes) -> None:
    _, names, palette = classes.coded()
    for name, colour in zip(names, palette, strict=True):
        marker = {"color": colour, "size": 11, "symbol": "square"}
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", name=name, marker=marker, hoverinfo="skip"))
    figure.update_layout(showlegend=True, legend={"title": {"text": classes.name}})


def _colour_axis(colours: PointColours) -> dict[str, Any]:
    low, high = colours.limits
    return {
        "colorscale": colours.colour_map,
        "cmin": low,
        "cmax": high,
        "colorbar": {
            "title": {"text": colours.name, "side": "right"},
            "thickness": 12,
            "x": 1.0,
            "y": 1.0,
            "yanchor": "top",
            "lenmode": "pixels",
            "len": 300,
        },
    }


def _positive(value: float | None) -> float | None:
    """`value`, or `None` for what a table says instead: null, NaN, 0."""
    return float(value) if value is not None and value > 0 else None
