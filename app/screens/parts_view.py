"""Which part of a slide matched which part of another, each shown by the item nearest to it."""

import base64
from collections.abc import Sequence

import streamlit as st

from app.screens.answers import slide_parts, thumbnails
from app.screens.links import keep, restore
from app.screens.notes import show_notes
from app.screens.session import engine
from encoders.aggregators import MEAN
from encoders.contracts import Modality

_NO_PARTS = (
    "This index compares slides by their means alone. Made with `histoseek ingest --aggregator prototypes`, it also "
    "says which part of a slide matched which part of another."
)


def show_matched_parts(slide: str, others: Sequence[str], side: Modality) -> None:
    """A choice of one of the slides found, and its matched parts."""
    if engine().index.card.aggregator == MEAN:
        st.caption(f":material/info: {_NO_PARTS}")
        return
    restore("parts_of", others)
    other = st.selectbox(
        "Which parts match", others, index=None, key="parts_of", placeholder="Choose one of these slides", width=320
    )
    keep("parts_of", other)
    if other is None:
        return
    found = slide_parts(slide, other, side)
    frame = found.to_pandas()
    for place, name in ((0, "item"), (2, "other_item")):
        frame.insert(place, f"{name}_picture", [_data_uri(one) for one in thumbnails(tuple(frame[name]))])
    pictured = bool(frame[["item_picture", "other_item_picture"]].notna().any(axis=None))
    st.dataframe(
        frame,
        hide_index=True,
        row_height=72 if pictured else None,
        column_order=[
            *(["item_picture"] if pictured else []), "share", "item", "cosine",
            *(["other_item_picture"] if pictured else []), "other_share", "other_item",
        ],
        column_config={
            "item_picture": st.column_config.ImageColumn(slide, width="small"),
            "share": st.column_config.NumberColumn("share", format="percent"),
            "item": f"shown by ({slide})",
            "cosine": st.column_config.NumberColumn("cosine", format="%.3f"),
            "other_item_picture": st.column_config.ImageColumn(other, width="small"),
            "other_share": st.column_config.NumberColumn("its share", format="percent"),
            "other_item": f"shown by ({other})",
        },
        alt=f"Parts of {slide} with the parts of {other} they match",
    )  # fmt: skip
    show_notes(found.notes)


def _data_uri(picture: bytes | None) -> str | None:
    return None if picture is None else "data:image/jpeg;base64," + base64.b64encode(picture).decode("ascii")
