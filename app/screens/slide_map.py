"""A slide with its items on a page: in the viewer, or as a plain map where its library was not fetched."""

from collections.abc import Mapping
from functools import partial

import pandas as pd
import streamlit as st

from app.maps import Classes, PointColours, SlideView, slide_map
from app.screens.chart_view import write_legend
from app.screens.item_choice import choose_item, regions_cleared
from app.screens.overlay import Overlay, colours_on
from app.screens.session import errors_as_sentences, items_of, slide_row
from app.screens.slide_picker import KINDS
from app.viewer.assets import library
from app.viewer.component import Link, Region, Scene, show_slide
from search.query import RegionQuery
from search.sections.section_alignment import SlideAlignment

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
    slide: str,
    points: pd.DataFrame,
    overlay: Overlay,
    *,
    chosen: str | None,
    key: str,
    region: RegionQuery | None = None,
    regions: bool = False,
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
    region : RegionQuery, optional
        Asked with; outlined where the user has not drawn one.
    regions : bool
        Whether the user may draw a region.

    Returns
    -------
    Region or None
        The region drawn on this slide.
    """
    view = SlideView.from_row(slide_row(slide), points)
    colours = None
    with errors_as_sentences():  # the slide stays, and with it what is drawn on it
        colours = colours_on(slide, points, overlay)
    alt = f"Map of slide {slide} with {len(points)} clickable items"
    if library() is None:
        st.caption(f":material/info: {_NO_LIBRARY}")
        _draw_plain(view, points, colours, chosen=chosen, key=f"{key}-{slide}", alt=alt)
        return None
    jump = chosen is not None and st.session_state.get("linked_item") == chosen
    outlines = None if region is None else [outline for outline, *_ in region.polygons]
    scene = Scene(view, points, colours, chosen, jump=jump, outlines=outlines, cleared=regions_cleared())
    return show_slide(scene, key=key, alt=alt, on_pick=partial(choose_item, jump=False), regions=regions)


def draw_classes(
    slide: str, points: pd.DataFrame, classes: tuple[str | None, ...], palette: Mapping[str, str], *, key: str
) -> None:
    """Draw a slide with a colour for the class of each item, in its own order and colours."""
    placed = (points["x_px"].notna() & points["y_px"].notna()).to_numpy()
    shown = points[placed]
    view = SlideView.from_row(slide_row(slide), shown)
    named = Classes(tuple(one for one, here in zip(classes, placed, strict=True) if here), "class", palette)
    alt = f"Classes of {len(shown)} items on slide {slide}"
    if library() is None:
        st.caption(f":material/info: {_NO_LIBRARY}")
        _draw_plain(view, shown, named, chosen=None, key=f"{key}-{slide}", alt=alt)
        return
    show_slide(Scene(view, shown, named), key=key, alt=alt)


def draw_linked(found: SlideAlignment) -> None:
    """Draw two slides side by side, of which the one follows the other as the alignment says."""
    sides = ((found.slide, Link("aligned", found.matrix_px)), (found.other, Link("aligned")))
    kind = shared_kind(found.slide, found.other)
    for column, (slide, link) in zip(st.columns(2, gap="small"), sides, strict=True):
        with column:
            points = placed_items(slide, kind)
            view = SlideView.from_row(slide_row(slide), points)
            if library() is None:
                st.caption(f":material/info: {_NO_LIBRARY}")
                _draw_plain(view, points, None, chosen=None, key=f"linked-{slide}", alt=f"Slide {slide}")
                continue
            scene = Scene(view, points, link=link)
            show_slide(scene, key=f"linked-{link.matrix == Link('').matrix}", alt=f"Slide {slide}", height=520)


def shared_kind(slide: str, other: str) -> str | None:
    """Kind of items that both slides have, spots before tiles."""
    own, its = (set(items_of(name)["kind"]) for name in (slide, other))
    return next((kind for kind in KINDS if kind in own & its), None)


def placed_items(slide: str, kind: str | None) -> pd.DataFrame:
    """Items of a kind that have a position on a slide; of any kind if none is named."""
    items = items_of(slide)
    of_kind = items["kind"] != "slide" if kind is None else items["kind"] == kind
    return items[of_kind & items["x_px"].notna() & items["y_px"].notna()]


def _draw_plain(
    view: SlideView,
    points: pd.DataFrame,
    colours: PointColours | Classes | None,
    *,
    chosen: str | None,
    key: str,
    alt: str,
) -> None:
    # A click marks its point by itself; drawing the map anew would lose the zoom.
    if st.session_state.get("from_map") != chosen:
        st.session_state["anchor"] = chosen
    figure = slide_map(view, points, colours=colours, chosen=st.session_state.get("anchor"))
    write_legend(figure)
    st.plotly_chart(
        figure,
        key=key,
        on_select=lambda: _take_from_plain(key),
        selection_mode="points",
        config=_PLAIN_CONFIG,
        alt=alt,
    )


def _take_from_plain(key: str) -> None:
    picked = st.session_state[key].selection.points
    if picked:
        choose_item(picked[0]["customdata"][0], jump=False)
        st.session_state["from_map"] = st.session_state["item"]
