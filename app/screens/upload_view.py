"""The control for what comes from outside the index: a picture, or outlines drawn on this slide elsewhere."""

import streamlit as st

from app.errors import ShowError
from app.screens.gallery import Card
from app.screens.item_choice import give_up_drawn, uploads_so_far
from app.screens.region_view import MOST_MB, read_outlines, with_card
from app.screens.session import engine
from app.uploads import MAX_UPLOAD_MB, as_jpeg, decode_patch
from encoders.errors import HistoSeekError
from search.query import PatchQuery, RegionQuery

_PATCH, _REGION = "A picture", "A region of this slide"


def choose_upload(slide: str) -> tuple[PatchQuery, Card] | None:
    """Let the user ask with a file of their own, and say what is wrong with it.

    Returns
    -------
    tuple or None
        The picture that is to be asked with; outlines are had by `uploaded_region`.
    """
    with st.popover("Upload", icon=":material/upload:"):
        what = st.segmented_control(
            "What is in the file", (_PATCH, _REGION), default=_PATCH, key="upload_of", required=True,
            label_visibility="collapsed",
        )  # fmt: skip
        if what == _REGION:
            st.file_uploader(
                f"Annotations of {slide}, as QuPath exports them (GeoJSON, up to {MOST_MB} MB)",
                type=["geojson", "json"],
                max_upload_size=MOST_MB,
                key=_outlines_key(),
                on_change=give_up_drawn,
            )
            st.caption("All areas in it are asked with together; those of a class Ignore are left out.")
        else:
            _choose_patch()
    try:
        uploaded_region(slide)
        return _patch()
    except HistoSeekError as error:
        st.error(str(error), icon=":material/error:")
        return None


def uploaded_region(slide: str) -> tuple[RegionQuery, Card] | None:
    """The outlines that were uploaded, on this slide; known before the control is drawn. Raises `HistoSeekError`."""
    file = st.session_state.get(_outlines_key())
    if file is None:
        return None
    return with_card(read_outlines(file.getvalue(), file.name, slide), file.name)


def _outlines_key() -> str:
    return f"outlines-{uploads_so_far()}"


def _patch_key() -> str:
    return f"patch-{uploads_so_far()}"


def _choose_patch() -> None:
    side_um = engine().space.card.patch_side_um
    st.file_uploader(
        f"One patch of H&E, at least {side_um:g} um wide (PNG, JPEG or TIFF, up to {MAX_UPLOAD_MB} MB)",
        type=["png", "jpg", "jpeg", "tif", "tiff"],
        max_upload_size=MAX_UPLOAD_MB,
        key=_patch_key(),
    )
    st.number_input(
        "Micrometres per pixel of the picture",
        min_value=0.01,
        max_value=100.0,
        value=None,
        step=0.01,
        format="%.4f",
        placeholder="such as 0.5 for a 20x scan",
        key="patch_mpp",
    )


def _patch() -> tuple[PatchQuery, Card] | None:
    """The picture that was uploaded. Raises `ShowError` if it cannot be read, or its scale is not said."""
    file, mpp = st.session_state.get(_patch_key()), st.session_state.get("patch_mpp")
    if file is None:
        return None
    if mpp is None:
        raise ShowError("Say how many micrometres a pixel of your picture is; without it the scale is not known.")
    pixels = decode_patch(file.getvalue())
    facts = {
        "id": file.name,
        "kind": "patch",
        "slide": "your own picture",
        "patient": "not known",
        "cohort": f"{pixels.shape[1]} x {pixels.shape[0]} px at {mpp:g} um/px",
        "licence": "stays on this machine",
        "side_um": min(pixels.shape[:2]) * float(mpp),
    }
    return PatchQuery(pixels, float(mpp)), Card(facts, as_jpeg(pixels))
