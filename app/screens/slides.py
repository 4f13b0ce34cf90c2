"""Page: pick a slide, see the slides most like it and the groups it sits nearest to."""

import base64

import streamlit as st

from app.screens.answers import similar_slides
from app.screens.item_views import show_cohorts
from app.screens.question import Terms
from app.screens.session import errors_as_sentences, slide_picture, slides
from app.screens.slide_picker import choose_slide
from search.query import SlideQuery

_COLUMNS = ["picture", "rank", "slide", "score", "p_value", "fdr", "patient", "organ", "diagnosis", "cohort", "licence"]


def show() -> None:
    """Draw the page."""
    left, right = st.columns([4, 8], gap="large")
    with left:
        slide = choose_slide()
        picture = slide_picture(slide)
        if picture is not None:
            st.image(picture, width="stretch", alt=f"Slide {slide}")
        else:
            st.info("This slide has expression only; it is compared by its mean profile.", icon=":material/image:")
        row = slides().loc[slide]
        st.caption(f"{row['citation']} Licence: {row['licence']}.")
    with right:
        k = int(st.slider("Slides", 3, 30, 8, key="slides_k"))
        with errors_as_sentences():
            st.subheader("Similar slides")
            _show_similar(slide, k)
        with errors_as_sentences():
            st.subheader("Nearest cohorts")
            show_cohorts(SlideQuery(slide), Terms(k=k, where=None, exclude="auto"))


def _show_similar(slide: str, k: int) -> None:
    result = similar_slides(slide, k)
    for note in result.notes:
        st.caption(f":material/info: {note}")
    frame = result.to_pandas()
    frame["picture"] = [_data_uri(name) for name in frame["slide"]]
    st.dataframe(
        frame[_COLUMNS],
        hide_index=True,
        row_height=72,
        column_config={
            "picture": st.column_config.ImageColumn("", width="small"),
            "rank": st.column_config.NumberColumn("rank", width="small"),
            "score": st.column_config.NumberColumn("score", format="%.3f"),
            "p_value": st.column_config.NumberColumn("p", format="%.2g"),
            "fdr": st.column_config.NumberColumn("FDR", format="%.2g"),
        },
        alt=f"Slides most similar to {slide}",
    )


def _data_uri(slide: str) -> str | None:
    picture = slide_picture(slide)
    return None if picture is None else "data:image/jpeg;base64," + base64.b64encode(picture).decode("ascii")


if __name__ == "__main__":
    show()
