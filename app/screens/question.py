"""The controls of a question: which way to search, how many hits, what to leave out."""

from dataclasses import dataclass
from typing import cast

import streamlit as st

from app.screens.links import keep, restore, switched, whole
from app.screens.session import held_sides
from encoders.contracts import Modality
from search.retrieval.filters import Exclude

_EXCLUDES: dict[Exclude, str] = {
    "auto": "Own slide",
    "patient": "Own patient",
    "none": "Nothing",
}
#: Direction on the screen -> the side asked with, the side compared with.
DIRECTIONS: dict[str, tuple[Modality, Modality]] = {
    "image → expression": ("image", "expression"),
    "image → image": ("image", "image"),
    "expression → image": ("expression", "image"),
    "expression → expression": ("expression", "expression"),
}
FIRST_K = 12  # hits, to begin with
_FEWEST, _MOST = 4, 60  # hits
_PICTURED = "side_px IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Terms:
    """How a question is asked: the arguments of `Engine.search` besides the query."""

    k: int
    where: str | None
    exclude: Exclude


def choose_direction(sides: tuple[Modality, ...]) -> tuple[Modality, Modality]:
    """Let the user pick a direction that an item with these sides can be asked in, and something answers."""
    offered = list(offered_directions(sides))
    restore("direction", offered, first=offered[0])
    chosen = st.segmented_control("Direction", offered, key="direction", label_visibility="collapsed", required=True)
    keep("direction", chosen, first=offered[0])
    return DIRECTIONS[chosen or offered[0]]


def offered_directions(sides: tuple[Modality, ...]) -> dict[str, tuple[Modality, Modality]]:
    """Those of `DIRECTIONS` that an item with these sides can be asked in, and something answers."""
    held = held_sides()
    return {name: way for name, way in DIRECTIONS.items() if way[0] in sides and way[1] in held}


def choose_side(sides: tuple[Modality, ...]) -> Modality:
    """Let the user pick the side of an item to ask with."""
    restore("side", sides, first=sides[0])
    side = st.segmented_control(
        "Ask with",
        sides,
        format_func=lambda side: f"by its {side}",
        key="side",
        label_visibility="collapsed",
        required=True,
    )
    keep("side", side, first=sides[0])
    return side or sides[0]


def asked_side(sides: tuple[Modality, ...], *, by_direction: bool) -> Modality:
    """Side of an item that the controls above ask with, before they are drawn."""
    state = st.session_state
    direction = DIRECTIONS.get(str(state.get("direction")))
    asked = state.get("side") if not by_direction else direction[0] if direction else None
    return cast("Modality", asked) if asked in sides else sides[0]


def choose_terms(*, excludable: bool = True, k: int = FIRST_K) -> Terms:
    """Number of hits, filter and exclusion, in a popover; whether it is not the default is said on its button."""
    restore("where")
    restore("k", read=whole(_FEWEST, _MOST), first=k)
    restore("pictured", read=switched, first=False)
    where = str(st.session_state.get("where") or "").strip()
    label = "Filters" + (" (on)" if where or st.session_state.get("pictured") else "")
    with st.popover(label, icon=":material/tune:"):
        number = int(st.slider("Hits", _FEWEST, _MOST, step=4, key="k"))
        exclude = "none"
        if excludable:
            names = list(_EXCLUDES)
            restore("exclude", names, first=names[0])
            exclude = st.radio(
                "Leave out",
                names,
                format_func=lambda name: _EXCLUDES[cast("Exclude", name)],
                horizontal=True,
                key="exclude",
                help="Neighbours on the same slide are easy answers; leaving them out shows what holds elsewhere.",
            )
            keep("exclude", exclude, first=names[0])
        pictured = st.toggle("Only items with a picture", key="pictured")
        text = st.text_input(
            "Filter (SQL)",
            key="where",
            placeholder="organ = 'breast' AND patient <> 'C'",
            help="Columns: slide, patient, cohort, organ, diagnosis, technology, species, licence, kind, label, "
            "total_counts and the other metadata of an item.",
        )
    keep("where", text)
    keep("k", number, first=k)
    keep("pictured", pictured, first=False)
    parts = [f"({text})"] if text.strip() else []
    parts += [_PICTURED] if pictured else []
    return Terms(number, " AND ".join(parts) or None, cast("Exclude", exclude))
