"""Slides and their items as controls: the slide list, the map of one slide, and the item picked on it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from app.maps import COLOUR_MAPS, PointColours, SlideView, slide_map
from app.screens.answers import similarity
from app.screens.links import keep, restore
from app.screens.session import items_of, slides
from search.query import Query

#: Kinds that can be picked on a slide, the one shown first before the others.
KINDS = ("spot", "cell", "tile", "transcriptome")
_MAP_CONFIG = {
    "scrollZoom": True,
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "zoom2d", "pan2d", "autoScale2d"],
}


@dataclass(frozen=True, slots=True)
class Overlay:
    """How the points of a map are coloured: by similarity to a query, or not at all."""

    query: Query | None
    opacity: float
    colour_map: str


def choose_slide(*, with_image_first: bool = True) -> str:
    """Let the user pick a slide; those with an image come first."""
    table = slides()
    bare = table["thumbnail"].isna()
    order = list(table.index[~bare]) + list(table.index[bare]) if with_image_first else list(table.index)
    restore("slide", order)
    slide = str(st.selectbox("Slide", order, format_func=_slide_label, key="slide"))
    keep("slide", slide)
    return slide


def items_on(slide: str, kind: str | None = None) -> pd.DataFrame:
    """Items of a slide that can be asked with, in row order; those of one kind if it is named."""
    table = items_of(slide)
    return table[table["kind"].isin(KINDS if kind is None else (kind,))]


def placed(points: pd.DataFrame) -> pd.DataFrame:
    """Those items that have a position."""
    return points[points["x_px"].notna() & points["y_px"].notna()]


def central_item(points: pd.DataFrame) -> str:
    """The item nearest to the middle of the others, a fair one to begin with; the first where none has a place."""
    mapped = placed(points)
    if mapped.empty:
        return str(points["id"].iloc[0])
    x, y = mapped["x_px"].to_numpy(), mapped["y_px"].to_numpy()
    return str(mapped["id"].iloc[int(np.argmin((x - np.median(x)) ** 2 + (y - np.median(y)) ** 2))])


def choose_overlay(query: Query | None, *, on: bool) -> Overlay:
    """Controls of the map's colours, in a popover."""
    with st.popover("Overlay", icon=":material/layers:"):
        wanted = st.toggle("Colour by similarity to the query", value=on, key="overlay")
        opacity = st.slider("Opacity", 0.1, 1.0, 0.75 if on else 0.5, 0.05, key="opacity")
        colour_map = st.radio("Colours", COLOUR_MAPS, horizontal=True, key="colours")
    return Overlay(query if wanted else None, float(opacity), str(colour_map))


def draw_map(slide: str, points: pd.DataFrame, overlay: Overlay, *, chosen: str | None, key: str) -> None:
    """Draw the map of a slide; a click on a point puts its id into the session as `item`."""
    view = SlideView.from_row(slides().loc[slide].to_dict(), points)
    figure = slide_map(view, points, colours=_colours(slide, points, overlay), chosen=chosen, opacity=overlay.opacity)
    st.plotly_chart(
        figure,
        key=key,
        on_select=lambda: _take_from_map(key),
        selection_mode="points",
        config=_MAP_CONFIG,
        alt=f"Map of slide {slide} with {len(points)} clickable items",
    )


def _take_from_map(key: str) -> None:
    picked = st.session_state[key].selection.points
    if picked:
        st.session_state["item"] = st.session_state["from_map"] = picked[0]["customdata"][0]


def _colours(slide: str, points: pd.DataFrame, overlay: Overlay) -> PointColours | None:
    if overlay.query is None:
        return None
    scores = similarity(overlay.query, slide).set_index("id")["score"]
    return PointColours(scores.reindex(points["id"]).to_numpy(dtype=np.float64), "similarity", overlay.colour_map)


def _slide_label(slide: str) -> str:
    row = slides().loc[slide]
    picture = "" if row["thumbnail"] is not None else ", no image"
    return f"{slide}, patient {row['patient']}, {row['organ']}{picture}"
