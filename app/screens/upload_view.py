"""The control for a picture from outside the index."""

import streamlit as st

from app.errors import ShowError
from app.screens.gallery import Card
from app.screens.session import engine
from app.uploads import MAX_UPLOAD_MB, as_jpeg, decode_patch
from search.query import PatchQuery


def choose_upload() -> tuple[PatchQuery, Card] | None:
    """Let the user ask with a picture of their own; `None` without one, or if it cannot be read."""
    side_um = engine().space.card.patch_side_um
    with st.popover("Upload", icon=":material/upload:"):
        file = st.file_uploader(
            f"One patch of H&E, at least {side_um:g} um wide (PNG, JPEG or TIFF, up to {MAX_UPLOAD_MB} MB)",
            type=["png", "jpg", "jpeg", "tif", "tiff"],
            max_upload_size=MAX_UPLOAD_MB,
            key="patch",
        )
        mpp = st.number_input(
            "Micrometres per pixel of the picture",
            min_value=0.01,
            max_value=100.0,
            value=None,
            step=0.01,
            format="%.4f",
            placeholder="such as 0.5 for a 20x scan",
            key="patch_mpp",
        )
    if file is None:
        return None
    if mpp is None:
        st.info("Say how many micrometres a pixel of your picture is; without it the scale is not known.")
        return None
    try:
        pixels = decode_patch(file.getvalue())
    except ShowError as error:
        st.error(str(error), icon=":material/error:")
        return None
    shown_um = min(pixels.shape[:2]) * float(mpp)
    facts = {
        "id": file.name,
        "kind": "patch",
        "slide": "your own picture",
        "patient": "not known",
        "cohort": f"{pixels.shape[1]} x {pixels.shape[0]} px at {mpp:g} um/px",
        "licence": "stays on this machine",
        "side_um": shown_um,
    }
    return PatchQuery(pixels, float(mpp)), Card(facts, as_jpeg(pixels))
