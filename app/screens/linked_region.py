"""A drawn region in the link of its page: its corners as text, where that is short."""

import streamlit as st

from app.screens.item_choice import LINKED_REGION, give_up_drawn
from app.screens.links import is_followed, keep, linked
from app.viewer.component import Region

_KEY, _BETWEEN = "region", "_"  # what stands in an address as it is
_MOST_CORNERS, _MOST_CHARACTERS = 120, 1_500


def drawn_now(slide: str, drawn: Region | None) -> Region | None:
    """What is drawn on the slide, given up where a link is followed: what that names is asked with from then on."""
    state = st.session_state
    if is_followed():
        give_up_drawn()
        if (text := linked(_KEY)) is not None:
            state[LINKED_REGION] = (slide, text)
        return None
    if drawn is not None:
        state.pop(LINKED_REGION, None)
    return drawn


def region_of_link(slide: str) -> Region | None:
    """The region of the link that was followed last, if it is one of this slide and was not given up since."""
    of, text = st.session_state.get(LINKED_REGION, (None, ""))
    return read_region(text, slide) if of == slide else None


def keep_region(region: Region | None) -> None:
    """Write the region into the link; one of too many corners is left out."""
    keep(_KEY, None if region is None else region_text(region))


def region_text(region: Region) -> str | None:
    """Corners as `x_y_x_y`, without the last, which is the first; `None` for an outline that is none, or too long."""
    try:
        corners = [(float(x), float(y)) for x, y in region.geometry["coordinates"][0][:-1]]
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    text = _BETWEEN.join(f"{number:.1f}".removesuffix(".0") for corner in corners for number in corner)
    return text if 3 <= len(corners) <= _MOST_CORNERS and len(text) <= _MOST_CHARACTERS else None


def read_region(text: str, slide: str) -> Region | None:
    """The region that a link names, `None` where it names none."""
    try:
        numbers = [float(part) for part in text[:_MOST_CHARACTERS].split(_BETWEEN)]
    except ValueError:
        return None
    if len(numbers) < 6 or len(numbers) % 2:
        return None
    ring = [list(corner) for corner in zip(numbers[::2], numbers[1::2], strict=True)]
    return Region(slide, {"type": "Polygon", "coordinates": [[*ring, ring[0]]]})
