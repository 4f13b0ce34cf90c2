"""Page: type genes, see the tiles and spots that look like them, and where they lie on a slide."""

import streamlit as st

from app.screens.answer_view import show_hits
from app.screens.answers import current_genes, hits
from app.screens.gene_list import EXAMPLE, choose_genes
from app.screens.links import keep, restore
from app.screens.overlay import choose_overlay
from app.screens.question import choose_terms
from app.screens.refining import refined
from app.screens.session import errors_as_sentences
from app.screens.slide_map import draw_map
from app.screens.slide_picker import choose_slide, items_on, placed
from app.tables.view import listed
from encoders.contracts import GeneReport, Modality
from encoders.gene_lists import WeightedGenes
from search.query import GenesQuery

_MOST_NAMES = 8
_TARGETS: dict[str, Modality] = {"Tissue pictures": "image", "Measured transcriptomes": "expression"}


def show() -> None:
    """Draw the page."""
    text = choose_genes()
    if not text:
        st.info(
            f"Type genes to see what tissue expressing them looks like, for example `{EXAMPLE}`: a number "
            "weighs a gene, a minus asks for it to be low.",
            icon=":material/genetics:",
        )
        return
    with errors_as_sentences():
        genes, renamed = current_genes(WeightedGenes.parse(text))
        _show_names(renamed)
        _show_both(GenesQuery(str(genes)))


def _show_names(renamed: tuple[tuple[str, str], ...]) -> None:
    if renamed:
        with st.container(horizontal=True, gap="small"):
            for old, new in renamed[:_MOST_NAMES]:
                st.badge(f"{old} → {new}", icon=":material/translate:", color="blue")
            if len(renamed) > _MOST_NAMES:
                st.caption(f"and {len(renamed) - _MOST_NAMES:,} more under their current symbols")


def _show_both(query: GenesQuery) -> None:
    left, right = st.columns([7, 5], gap="large")
    answered = False
    with left, errors_as_sentences():
        _show_answer(query)
        answered = True
    if answered:  # else the map would only say the same again
        with right, errors_as_sentences():
            _show_map(query)


def _show_answer(query: GenesQuery) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        offered = list(_TARGETS)
        restore("genes_target", offered, first=offered[0])
        chosen = st.segmented_control("Find", offered, key="genes_target", required=True, label_visibility="collapsed")
        name = chosen or offered[0]
        keep("genes_target", name, first=offered[0])
        terms = choose_terms(excludable=False)
    target = _TARGETS[name]
    asked = refined(query, target)
    result = hits(asked, target=target, k=terms.k, where=terms.where, exclude="none")
    if result.genes is not None:
        _show_report(result.genes)
    show_hits(result, asked, markable=query)


def _show_report(report: GeneReport) -> None:
    with st.container(horizontal=True, gap="small"):
        if report.used:
            st.badge(f"{listed(report.used)}: used", icon=":material/check:", color="green")
        if report.unknown:
            st.badge(f"{listed(report.unknown)}: not known to this space", icon=":material/help:", color="orange")
        if report.truncated:
            st.badge(f"{listed(report.truncated)}: cut off", icon=":material/content_cut:", color="gray")


def _show_map(query: GenesQuery) -> None:
    names, colours = st.columns([3, 1], vertical_alignment="bottom")
    with names:
        slide = choose_slide()
    points = placed(items_on(slide))
    if points.empty:
        st.info("This slide has no items with a position. Choose another slide.")
        return
    kind = str(points["kind"].mode()[0])
    points = points[points["kind"] == kind]
    with colours:
        overlay = choose_overlay(query, points, on=True)
    if overlay.by == "similarity":
        st.caption(f"Similarity of each {kind} of {slide} to the gene list. Scroll to zoom, drag to move.")
    draw_map(slide, points, overlay, chosen=None, key="genes-map")


if __name__ == "__main__":
    show()
