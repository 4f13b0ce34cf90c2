"""Page: pick a slide, click a tile or spot on it, read what it matches."""

import pandas as pd
import streamlit as st

from app.screens.answer_view import cards_of, show_hits
from app.screens.answers import hits
from app.screens.gallery import Card, show_query
from app.screens.item_views import show_cell_types, show_cohorts, show_predicted_genes
from app.screens.question import Terms, choose_direction, choose_terms
from app.screens.session import engine, errors_as_sentences, items, slides
from app.screens.slide_picker import central_item, choose_overlay, choose_slide, draw_map, items_on
from app.screens.upload_view import choose_upload
from encoders.contracts import Modality
from search.query import ItemQuery, PatchQuery, Query

_VIEWS = ("Hits", "Predicted genes", "Cell types", "Nearest cohorts")


def show() -> None:
    """Draw the page."""
    left, right = st.columns([5, 7], gap="large")
    with left:
        slide = choose_slide()
        points = _choose_layer(slide)
        item = _choose_item(points)
        overlay = choose_overlay(ItemQuery(item) if item else None, on=False)
        with errors_as_sentences():
            draw_map(slide, points, overlay, chosen=_drawn(item), key=f"map-{slide}")
        _describe_slide(slide)
    with right:
        upload = choose_upload()
        if upload is not None:
            query, card = upload
            _show_answers(query, card, ("image",))
        elif item is None:
            st.info("This slide has no items with a position to click on. Choose another slide.")
        else:
            row = items().loc[items()["id"] == item]
            sides = engine().catalogue.modalities_of(int(row.index[0]))
            _show_answers(None, cards_of(row)[0], sides)


def _choose_layer(slide: str) -> pd.DataFrame:
    """Items of one kind of the slide; the kind of a linked item comes first."""
    on_slide = items_on(slide)
    kinds = sorted(on_slide["kind"].unique(), key=("spot", "cell", "tile").index)
    if len(kinds) < 2:
        return on_slide
    linked = on_slide.loc[on_slide["id"] == st.query_params.get("item"), "kind"]
    if "layer" not in st.session_state and len(linked):
        st.session_state["layer"] = linked.iloc[0]
    kind = st.segmented_control(
        "Show",
        kinds,
        format_func=lambda kind: f"{kind.capitalize()}s ({(on_slide['kind'] == kind).sum():,})",
        default=None if "layer" in st.session_state else kinds[0],
        key="layer",
        required=True,
        label_visibility="collapsed",
    )
    return items_on(slide, str(kind or kinds[0]))


def _choose_item(points: pd.DataFrame) -> str | None:
    """Item picked on the map or in the list."""
    ids = list(points["id"])
    if not ids:
        return None
    middle = central_item(points)
    if "item" in st.session_state and st.session_state["item"] not in ids:
        st.session_state["item"] = ids[middle]
    chosen = st.selectbox(
        "Item: click on the map, or choose here",
        ids,
        index=middle,
        key="item",
        bind="query-params",
        on_change=lambda: st.session_state.pop("from_map", None),
    )
    return str(chosen)


def _drawn(item: str | None) -> str | None:
    """Item the figure marks. A click marks its point by itself; drawing the map anew would lose the zoom."""
    if st.session_state.get("from_map") != item:
        st.session_state["anchor"] = item
    anchor = st.session_state.get("anchor")
    return None if anchor is None else str(anchor)


def _describe_slide(slide: str) -> None:
    row = slides().loc[slide]
    mpp = f"{row['mpp']:.3f} um/px (from the {row['mpp_source']})" if pd.notna(row["mpp"]) else "mpp not known"
    st.caption(
        f"**{slide}**: {row['organ']}, {row['diagnosis']}, {row['technology']}, patient {row['patient']}, cohort "
        f"{row['cohort']}, {mpp}. Licence: {row['licence']}."
    )


def _show_answers(outside: PatchQuery | None, card: Card, sides: tuple[Modality, ...]) -> None:
    asked, controls = st.columns([2, 5], gap="medium")
    with asked:
        show_query(card)
    with controls:
        using, target = choose_direction(sides)
        terms = choose_terms(excludable=outside is None)
        view = st.segmented_control(
            "Answer", _VIEWS, default=_VIEWS[0], key="view", required=True, label_visibility="collapsed"
        )
    query: Query = outside if outside is not None else ItemQuery(str(card.facts["id"]), using)
    with errors_as_sentences():
        _show_view(str(view), query, target, terms)


def _show_view(view: str, query: Query, target: Modality, terms: Terms) -> None:
    match view:
        case "Predicted genes":
            show_predicted_genes(query, terms)
        case "Cell types":
            show_cell_types(query)
        case "Nearest cohorts":
            show_cohorts(query, terms)
        case _:
            show_hits(hits(query, target=target, k=terms.k, where=terms.where, exclude=terms.exclude))


if __name__ == "__main__":
    show()
