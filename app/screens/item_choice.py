"""Which item is asked with: one choice, made on the map, in the list, by a link or by a click on a hit."""

import streamlit as st

#: In the session: the region that a link names, `(slide, text)`.
LINKED_REGION = "linked-region"
_CLEARED, _UPLOADS = "cleared", "uploads"


def choose_item(item: str, *, jump: bool) -> None:
    """Ask with an item from now on, not with what was drawn or uploaded; for a callback, before the page is drawn.

    Parameters
    ----------
    item : str
        Its id.
    jump : bool
        Whether the slide is opened at it.
    """
    st.session_state["item"] = item
    give_up_outside()
    st.session_state.pop("linked_item", None)
    if jump:
        st.session_state["linked_item"] = item


def give_up_outside() -> None:
    """Ask neither with a region that was drawn nor with a file that was uploaded."""
    give_up_drawn()
    st.session_state[_UPLOADS] = uploads_so_far() + 1


def give_up_drawn() -> None:
    """Ask no more with a region that was drawn, or that a link names."""
    st.session_state.pop(LINKED_REGION, None)
    st.session_state[_CLEARED] = regions_cleared() + 1


def regions_cleared() -> int:
    """Another number than before says that the region that was drawn is given up."""
    return int(st.session_state.get(_CLEARED, 0))


def uploads_so_far() -> int:
    """A number for the keys of upload controls: another one than before makes them empty."""
    return int(st.session_state.get(_UPLOADS, 0))
