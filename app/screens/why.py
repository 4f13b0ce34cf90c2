"""Why a hit is one: query and hit side by side, the squares and genes that make the score, labelled neighbours."""

import streamlit as st

from app.figures.explanation import explanation_figure
from app.figures.style import as_png
from app.screens.answers import explanation
from app.screens.notes import show_notes
from app.screens.session import engine, errors_as_sentences
from search.query import Query
from search.result import SearchResult

_NOT_ASKED = "Choose a hit"


def choose_hit_to_explain(result: SearchResult, asked: Query) -> None:
    """A list of the hits; the one chosen is explained below it. Nothing is worked out before."""
    names = {hit["id"]: f"{hit['rank']}. {hit['id']}, {hit['score']:.3f}" for hit in result.to_list()}
    with st.expander("Why is it a hit?", icon=":material/lightbulb:"):
        item = st.selectbox(
            "Hit", list(names), index=None, format_func=lambda one: names[one], placeholder=_NOT_ASKED, key="why_hit"
        )
        if item is not None:
            with errors_as_sentences():
                _show(str(item), asked, result)


def _show(item: str, asked: Query, result: SearchResult) -> None:
    found = explanation(asked, item, target=result.query["target"])
    name = result.query.get("id") or result.query.get("text") or result.query["type"]
    st.image(
        as_png(explanation_figure(found, engine(), asked, asked=str(name))),
        width="stretch",
        alt=f"Query and hit {item} side by side, with what makes their score of {found.score:.3f}",
    )
    show_notes(found.notes)
    shown = found.to_pandas()
    if shown["loss"].notna().any() or shown["shared"].any():
        st.dataframe(
            shown,
            hide_index=True,
            column_config={
                "loss": st.column_config.NumberColumn("score without it falls by", format="%.4f"),
                "query_per_10k": st.column_config.NumberColumn("query, per 10k", format="%.1f"),
                "hit_per_10k": st.column_config.NumberColumn("hit, per 10k", format="%.1f"),
                "expected_per_10k": st.column_config.NumberColumn("mean, per 10k", format="%.1f"),
                "shared": "high in both",
            },
            alt=f"Genes that make the score of {item}",
        )
    for one in found.labelled[:5]:
        st.caption(f"Near the query, of another patient: {one['id']}, {one['label']} ({one['score']:.3f})")
