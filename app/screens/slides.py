"""Page: pick a slide, see the slides most like it and the groups it sits nearest to."""

import base64
from typing import cast

import streamlit as st

from app.screens.answers import similar_slides
from app.screens.item_views import show_cohorts
from app.screens.links import keep, restore, whole
from app.screens.notes import show_notes
from app.screens.parts_view import show_matched_parts
from app.screens.question import Terms
from app.screens.session import errors_as_sentences, slide_picture, slide_sides, slides
from app.screens.slide_picker import choose_slide
from encoders.contracts import Modality
from search.query import SlideQuery
from search.result import SearchResult

_K = 8
_COLUMNS = ["picture", "rank", "slide", "score", "p_value", "fdr", "patient", "organ", "diagnosis", "cohort", "licence"]
#: Stands for a slide without an image, with a ground of its own, since no grey is read on light and dark.
_NOT_IMAGED = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64">
<rect x="1" y="1" width="62" height="62" rx="6" fill="#ffffff" stroke="#6b7683" stroke-dasharray="4 4"/>
<text x="32" y="29" font-family="sans-serif" font-size="11" fill="#52606d" text-anchor="middle">not
<tspan x="32" dy="13">imaged</tspan></text></svg>"""


def show() -> None:
    """Draw the page."""
    left, right = st.columns([4, 8], gap="large")
    with left:
        slide = choose_slide()
        picture = slide_picture(slide)
        if picture is not None:
            st.image(picture, width="stretch", alt=f"Slide {slide}")
        else:
            st.info(_without_picture(slide), icon=":material/image:")
        row = slides().loc[slide]
        st.caption(f"{row['citation'].rstrip('.')}. Licence: {row['licence']}.")
    with right, errors_as_sentences():
        restore("slides_k", read=whole(3, 30), first=_K)
        k = int(st.slider("How many", 3, 30, key="slides_k", width=260))
        keep("slides_k", k, first=_K)
        result = similar_slides(slide, k)
        st.subheader("Similar slides")
        _show_similar(slide, result)
        # The side that the slides were compared on.
        side = cast("Modality", result.query["using"])
        show_matched_parts(slide, result.table.column("slide").to_pylist(), side)
        st.subheader("Nearest cohorts")
        show_cohorts(SlideQuery(slide, side), Terms(k=k, where=None, exclude="auto"), target=side)


def _show_similar(slide: str, result: SearchResult) -> None:
    show_notes(result.notes)
    frame = result.to_pandas()
    if any(slide_picture(name) for name in frame["slide"]):
        frame.insert(0, "picture", [_data_uri(name) for name in frame["slide"]])
    shown = [column for column in _COLUMNS if column in frame and frame[column].notna().any()]
    st.dataframe(
        frame[shown],
        hide_index=True,
        row_height=72 if "picture" in shown else None,
        height="content",
        column_config={
            "picture": st.column_config.ImageColumn("", width="small"),
            "rank": st.column_config.NumberColumn("rank", width=50),
            "score": st.column_config.NumberColumn("score", format="%.3f"),
            "p_value": st.column_config.NumberColumn("p", format="%.2g"),
            "fdr": st.column_config.NumberColumn("FDR", format="%.2g"),
        },
        alt=f"Slides most similar to {slide}",
    )
    aggregator = result.query.get("aggregator")
    by = "by their mean" if aggregator is None else f"part by part ({aggregator}) by their"
    st.caption(f"Compared {by} {result.query['using']} vector{'' if aggregator is None else 's'}. Score: cosine.")


def _without_picture(slide: str) -> str:
    if "image" in slide_sides(slide):
        return "There is no picture of this slide here: its tiles came as features, and it is compared by them."
    return "This slide has expression only; it is compared by its mean profile."


def _data_uri(slide: str) -> str:
    picture = slide_picture(slide)
    kind, content = ("svg+xml", _NOT_IMAGED) if picture is None else ("jpeg", picture)
    return f"data:image/{kind};base64," + base64.b64encode(content).decode("ascii")


if __name__ == "__main__":
    show()
