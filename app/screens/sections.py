"""Page: lay a slide over another one of the same tissue, and look at both side by side, moving together."""

from functools import partial

import streamlit as st

from app.figures.alignment import alignment_figure
from app.figures.style import as_png
from app.screens.answers import alignment
from app.screens.links import keep, restore, switched
from app.screens.notes import show_notes
from app.screens.session import engine, errors_as_sentences, slides
from app.screens.slide_map import draw_linked
from app.screens.slide_picker import slide_label
from encoders.contracts import Modality
from search.sections.alignment import MODELS, Model
from search.sections.section_alignment import SlideAlignment

_MODELS: dict[Model, str] = {"rigid": "Turn and shift", "affine": "Stretch too", "warp": "Bend too"}
_SIDES: dict[str, Modality | None] = {"Shared side": None, "Image": "image", "Expression": "expression"}


def show() -> None:
    """Draw the page."""
    slide, other = _choose_slides()
    model, side, mirror = _choose_manner()
    if slide == other:
        st.info("Choose two different slides of the same tissue, such as neighbours.", icon=":material/layers:")
        return
    with errors_as_sentences():
        found = alignment(slide, other, using=_SIDES[side], model=model, mirror=mirror)
        _show(found)


def _choose_manner() -> tuple[Model, str, bool]:
    first_model: Model = "warp"
    first_side = "Shared side"
    restore("align_model", MODELS, first=first_model)
    restore("align_using", _SIDES, first=first_side)
    restore("align_mirror", read=switched, first=False)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        model: Model = (
            st.segmented_control(
                "The first may", MODELS, format_func=lambda one: _MODELS[one], key="align_model", required=True
            )
            or first_model
        )
        side = st.segmented_control("Compare by", list(_SIDES), key="align_using", required=True) or first_side
        mirror = st.toggle("It may lie the other side up", key="align_mirror")
    keep("align_model", model, first=first_model)
    keep("align_using", side, first=first_side)
    keep("align_mirror", mirror, first=False)
    return model, side, mirror


def _choose_slides() -> tuple[str, str]:
    names = list(slides().index)
    lists = (("slide", "Lay this slide"), ("other", "over this one"))
    chosen = []
    for place, (column, (key, label)) in enumerate(zip(st.columns(2, gap="large"), lists, strict=True)):
        with column:
            restore(key, names)
            st.session_state.setdefault(key, _first(names, place))
            one = str(st.selectbox(label, names, format_func=slide_label, key=key))
            keep(key, one)
            chosen.append(one)
    return chosen[0], chosen[1]


def _first(names: list[str], place: int) -> str:
    """To begin with, two slides of one patient that have pictures, if there are such."""
    pictured = slides()[slides()["pictured"]]
    for _, own in pictured.groupby("patient", sort=True):
        if len(own) > 1:
            return str(own.index[place])
    return names[min(place, len(names) - 1)]


def _show(found: SlideAlignment) -> None:
    turned = f"turned by {found.turned_degrees:.1f} degrees, scale {found.scale:.2f}"
    st.markdown(
        f"**{found.slide} on {found.other}**: median residual {found.residual_um:.0f} µm; {turned}"
        f"{', mirrored' if found.mirrored else ''}. Move one, and the other follows."
    )
    draw_linked(found)
    show_notes(found.notes)
    asked = engine()
    with st.container(horizontal=True):
        st.download_button(
            "Places (CSV)", partial(_places, found), file_name=f"{found.slide}-on-{found.other}.csv",
            on_click="ignore", icon=":material/download:",
        )  # fmt: skip
        st.download_button(
            "Figure (PNG)", lambda: as_png(alignment_figure(found, asked)),
            file_name=f"{found.slide}-on-{found.other}.png", on_click="ignore", icon=":material/download:",
        )  # fmt: skip
    with st.expander("As a table"):
        st.dataframe(found.to_pandas(), hide_index=True, alt="Where each place comes to lie")


def _places(found: SlideAlignment) -> bytes:
    return found.to_pandas().to_csv(index=False).encode()


if __name__ == "__main__":
    show()
