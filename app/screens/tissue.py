"""Page: pick a slide, click a tile or spot on it, read what it matches."""

from contextlib import suppress
from dataclasses import replace

import pandas as pd
import streamlit as st

from app.screens.answer_view import cards_of, show_hits
from app.screens.answers import hits, hits_ahead
from app.screens.gallery import Card, show_gallery
from app.screens.item_choice import give_up_outside
from app.screens.item_views import show_cell_types, show_cohorts, show_predicted_genes
from app.screens.linked_region import drawn_now, keep_region, region_of_link
from app.screens.links import is_followed, keep, linked, restore
from app.screens.overlay import choose_overlay
from app.screens.question import (
    FIRST_K,
    Terms,
    asked_side,
    choose_direction,
    choose_side,
    choose_terms,
    offered_directions,
)
from app.screens.refining import refined
from app.screens.region_view import region_query
from app.screens.session import engine, errors_as_sentences, items_of, slide_picture, slide_sides, slides
from app.screens.slide_map import draw_map
from app.screens.slide_picker import central_item, choose_slide, items_on, kinds_on, pictured_first, placed
from app.screens.upload_view import choose_upload, uploaded_region
from app.viewer.component import drawn_region
from encoders.contracts import Modality
from encoders.errors import HistoSeekError
from search.query import ItemQuery, PatchQuery, Query, RegionQuery

_VIEWS = ("Hits", "Predicted genes", "Cell types", "Nearest cohorts")


def show() -> None:
    """Draw the page."""
    restore("view", _VIEWS, first=_VIEWS[0])
    for asked_by in ("direction", "side"):  # the map is drawn before these, and asks as they say
        restore(asked_by)
    left, right = st.columns([5, 7], gap="large")
    with left, st.container(key="map-side"):
        slide, points, item = _choose()
        region = _region(slide)
        about, colours = st.columns([3, 1])
        with about:
            _describe_slide(slide)
        with colours:
            overlay = choose_overlay(_asked(item, region), points, on=False)
        with errors_as_sentences():
            mapped = placed(points)
            if len(mapped) or slide_picture(slide) is not None:
                outlined = None if region is None else region[0]
                draw_map(slide, mapped, overlay, chosen=item, key="map", region=outlined, regions=True)
    with right:
        _answer(slide, item, region)


def prepare() -> None:
    """Work out what the page begins with, so that it is there when the first visitor comes. Raises `HistoSeekError`."""
    for slide in pictured_first()[:1]:
        slide_picture(slide)
        on_slide = items_on(slide)
        for kind in kinds_on(slide)[:1]:
            item = central_item(on_slide[on_slide["kind"] == kind])
            cards_of(on_slide[on_slide["id"] == item])
            for using, target in list(offered_directions(_sides(item)).values())[:1]:
                cards_of(hits_ahead(ItemQuery(item, using), target=target, k=FIRST_K).to_pandas())


def _region(slide: str) -> tuple[RegionQuery, Card] | None:
    """The region that is asked with: drawn, uploaded (its control says what is wrong with a file), or of a link."""
    drawn = drawn_now(slide, drawn_region("map", slide))
    uploaded = None
    if drawn is None:
        with suppress(HistoSeekError):
            uploaded = uploaded_region(slide)
    outline = drawn or (region_of_link(slide) if uploaded is None else None)
    keep_region(outline)
    return uploaded if outline is None else region_query(outline)


def _asked(item: str | None, region: tuple[RegionQuery, Card] | None) -> Query | None:
    """The region or the item, asked with as the answer beside the map is."""
    sides = _sides(item) if item else ()
    if not item or not sides:
        return None
    by_direction = st.session_state.get("view", _VIEWS[0]) == _VIEWS[0]
    side = asked_side(sides, by_direction=by_direction)
    if region is not None:
        return replace(region[0], using=side)
    return ItemQuery(item, side)


def _sides(item: str) -> tuple[Modality, ...]:
    catalogue = engine().catalogue
    return catalogue.modalities_of(catalogue.row_of(item))


def _answer(slide: str, item: str | None, region: tuple[RegionQuery, Card] | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        chosen = st.segmented_control("Answer", _VIEWS, key="view", required=True, label_visibility="collapsed")
        view = chosen or _VIEWS[0]
        keep("view", view, first=_VIEWS[0])
        upload = choose_upload(slide)
    if upload is not None:
        query, card = upload
        _show_answer(view, query, card, ("image",))
    elif item is None:
        st.info("This slide has no items to ask with. Choose another slide.")
    elif not (sides := _sides(item)):
        st.info(f"{item} has neither a picture nor a count of a gene that the space knows. Choose another item.")
    elif region is not None:
        _show_answer(view, *region, sides)
    else:
        on_slide = items_of(slide)
        _show_answer(view, None, cards_of(on_slide[on_slide["id"] == item])[0], sides)


def _choose() -> tuple[str, pd.DataFrame, str | None]:
    """Slide, its items of one kind, and the item picked."""
    names, layers = st.columns([3, 2], vertical_alignment="bottom")
    with names:
        slide = choose_slide()
    with layers:
        points = _choose_layer(slide)
    return slide, points, _choose_item(points)


def _choose_layer(slide: str) -> pd.DataFrame:
    """Items of one kind of the slide; the kind of a linked item comes first."""
    on_slide, kinds = items_on(slide), kinds_on(slide)
    if len(kinds) < 2:
        return on_slide
    of_linked = on_slide.loc[on_slide["id"] == linked("item"), "kind"]
    if "layer" not in st.session_state or is_followed():
        st.session_state["layer"] = of_linked.iloc[0] if len(of_linked) else kinds[0]
    kind = st.segmented_control(
        "Show",
        kinds,
        format_func=lambda kind: f"{kind.capitalize()}s ({(on_slide['kind'] == kind).sum():,})",
        key="layer",
        required=True,
        label_visibility="collapsed",
    )
    return items_on(slide, str(kind))


def _choose_item(points: pd.DataFrame) -> str | None:
    """Item picked on the map or in the list; the one in the middle to begin with."""
    ids = list(points["id"])
    if not ids:
        return None
    if ("item" not in st.session_state or is_followed()) and linked("item") in ids:
        st.session_state["linked_item"] = linked("item")  # the slide opens at it
    restore("item", ids)
    st.session_state.setdefault("item", central_item(points))
    item = str(
        st.selectbox(
            "Item: click on the map, or choose here" if len(placed(points)) else "Item (no positions, so no map)",
            ids,
            key="item",
            on_change=_forget_the_way,
        )
    )
    keep("item", item)
    return item


def _forget_the_way() -> None:
    """The item was picked from the list: neither by a click on the map nor by a link."""
    for way in ("from_map", "linked_item"):
        st.session_state.pop(way, None)
    give_up_outside()


def _describe_slide(slide: str) -> None:
    row = slides().loc[slide]
    mpp = f"{row['mpp']:.3f} um/px ({row['mpp_source']})" if pd.notna(row["mpp"]) else "mpp not known"
    parts = [row["organ"], row["diagnosis"], row["technology"], mpp, row["licence"]]
    if slide_picture(slide) is None and "image" in slide_sides(slide):
        parts.append("no picture here: its tiles came as features")
    st.caption(" · ".join(map(str, parts)))


def _show_answer(view: str, outside: PatchQuery | RegionQuery | None, card: Card, sides: tuple[Modality, ...]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        using, target = choose_direction(sides) if view == "Hits" else (choose_side(sides), None)
        terms = choose_terms(excludable=not isinstance(outside, PatchQuery))
    query: Query
    if isinstance(outside, RegionQuery):
        query = replace(outside, using=using)
    else:
        query = outside if outside is not None else ItemQuery(str(card.facts["id"]), using)
    asked = replace(card, facts={**card.facts, "modality": using})
    if target is not None:
        with errors_as_sentences():
            moved = refined(query, target)
            found = hits(moved, target=target, k=terms.k, where=terms.where, exclude=terms.exclude)
            show_hits(found, moved, card=asked, markable=query)
        return
    beside, answer = st.columns([1, 3], gap="medium")
    with beside:
        show_gallery((), query=asked)
    with answer, errors_as_sentences():
        _show_analysis(view, query, terms)


def _show_analysis(view: str, query: Query, terms: Terms) -> None:
    match view:
        case "Predicted genes":
            show_predicted_genes(query, terms)
        case "Cell types":
            show_cell_types(query, terms)
        case _:
            show_cohorts(query, terms)


if __name__ == "__main__":
    show()
