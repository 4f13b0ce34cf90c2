"""One search result on the screen: its notes, its cards, its table."""

from typing import Any, cast

import pandas as pd
import streamlit as st

from app.screens.answers import standouts, thumbnails
from app.screens.files import offer_files
from app.screens.gallery import Card, show_gallery
from app.screens.notes import show_notes
from app.screens.refining import choose_refining, show_markable
from app.screens.why import choose_hit_to_explain
from search.query import Query
from search.result import SearchResult

_TABLE_COLUMNS = [
    "rank", "score", "p_value", "fdr", "id", "kind", "slide", "patient", "cohort", "organ", "diagnosis",
    "label", "x_px", "y_px", "mpp", "licence",
]  # fmt: skip


def show_hits(result: SearchResult, asked: Query, *, card: Card | None = None, markable: Query | None = None) -> None:
    """Notes, gallery and table of the answer to a question, after its card.

    With `markable`, the question before it was refined, each hit can be marked as right or wrong.
    """
    show_notes(result.notes)
    if not len(result):
        if markable is not None:
            choose_refining(markable)  # what was marked may be why, and can be forgotten
        st.info("No item passes these filters. Widen the filter, or leave less out.", icon=":material/search_off:")
        return
    frame = result.to_pandas()
    cards = cards_of(frame)
    if markable is not None and choose_refining(markable):
        show_markable(cards, query=card, asked=markable)
    else:
        show_gallery(cards, query=card)
    offer_files(result, asked)
    choose_hit_to_explain(result, asked)
    with st.expander("As a table"):
        st.dataframe(frame[_TABLE_COLUMNS], hide_index=True, alt="Hits with score, p-value and provenance")
    plan = result.plan
    milliseconds = sum(plan.stage_ms.values())
    st.caption(
        f"{plan.strategy} search over {plan.n_allowed:,} items in {milliseconds:.0f} ms. "
        "Score: cosine. p: share of mismatched pairs that score as high."
    )


def cards_of(frame: pd.DataFrame) -> list[Card]:
    """Cards of items or hits: pictures where there are any, the genes that stand out where not."""
    ids = tuple(frame["id"])
    pictures = thumbnails(ids)
    bare = tuple(item for item, picture in zip(ids, pictures, strict=True) if picture is None)
    genes = dict(zip(bare, standouts(bare), strict=True)) if bare else {}
    rows = cast("list[dict[str, Any]]", frame.to_dict("records"))
    return [Card(row, picture, genes.get(str(row["id"]), ())) for row, picture in zip(rows, pictures, strict=True)]
