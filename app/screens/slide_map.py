"""A slide with its items on a page: in the viewer, or as a plain map where its library was not fetched."""

import pandas as pd
import streamlit as st

from app.maps import PointColours, SlideView, slide_map
from app.screens.overlay import Overlay, colours_on
from app.screens.session import slides
from app.viewer.assets import library
from app.viewer.component import Region, Scene, show_slide

_PLAIN_CONFIG = {
    "scrollZoom": True,
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "zoom2d", "pan2d", "autoScale2d"],
}
_NO_LIBRARY = (
    "A plain map: the slide viewer needs OpenSeadragon, which is not on this machine. "
    "Start `histoseek serve` once where there is a network."
)


def draw_map(
    slide: str, points: pd.DataFrame, overlay: Overlay, *, chosen: str | None, key: str, regions: bool = False
) -> Region | None:
    """Draw a slide with its items; a click on one puts its id into the session as `item`.

    Parameters
    ----------
    slide : str
        Its name.
    points : DataFrame
        Items of one kind that have a position.
    overlay : Overlay
        What they are coloured by.
    chosen : str or None
        Id of the item that is outlined.
    key : str
        Of the element; one a place on a page.
    regions : bool
        Whether the user may draw a region.

    Returns
    -------
    Region or None
        The region drawn on this slide.
    """
    view = SlideView.from_row(slides().loc[slide].to_dict(), points)
    colours = colours_on(slide, points, overlay)
    alt = f"Map of slide {slide} with {len(points)} clickable items"
    if library() is None:
        st.caption(f":material/info: {_NO_LIBRARY}")
        shown = colours if isinstance(colours, PointColours) else None
        _draw_plain(view, points, shown, chosen=chosen, key=f"{key}-{slide}", alt=alt)
        return None
    jump = chosen is not None and st.session_state.get("linked_item") == chosen
    scene = Scene(view, points, colours, chosen, jump=jump)
    return show_slide(scene, key=key, alt=alt, on_pick=_take, regions=regions)


def _take(item: str) -> None:
    st.session_state["item"] = item
    st.session_state.pop("linked_item", None)


def _draw_plain(
    view: SlideView, points: pd.DataFrame, colours: PointColours | None, *, chosen: str | None, key: str, alt: str
) -> None:
    # A click marks its point by itself; drawing the map anew would lose the zoom.
    if st.session_state.get("from_map") != chosen:
        st.session_state["anchor"] = chosen
    st.plotly_chart(
        slide_map(view, points, colours=colours, chosen=st.session_state.get("anchor")),
        key=key,
        on_select=lambda: _take_from_plain(key),
        selection_mode="points",
        config=_PLAIN_CONFIG,
        alt=alt,
    )


def _take_from_plain(key: str) -> None:
    picked = st.session_state[key].selection.points
    if picked:
        st.session_state["item"] = st.session_state["from_map"] = picked[0]["customdata"][0]
