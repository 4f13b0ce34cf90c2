"""The view as an address: what is picked stands in the query parameters, and moves along between pages.

Streamlit makes an entry of the browser's history of each change of the parameters, and runs the page again when the
browser goes back or forward. A run therefore changes them once, at its end, and a link that is another one than the
last run left, while no control was touched, is followed.
"""

from collections.abc import Callable, Collection
from typing import Any

import streamlit as st

_KEPT = "kept-"  # widgets that are not on a page lose their state; these copies do not
_NEXT, _LEFT, _VALUES, _FOLLOWING = "link-next", "link-left", "link-values", "link-following"  # in the session
_PLACE = "at"  # where the viewer is, which the browser writes by itself (`app/viewer/frontend/address.js`)
_SWITCHED = {True: "yes", False: "no"}
_BETWEEN = ","


def begin_link() -> None:
    """Read the link as a run begins, and see whether it is to be followed: the browser went back or forward."""
    state, link = st.session_state, _link()
    touched = any(key in state and state[key] != value for key, value in state.get(_VALUES, {}).items())
    # A control touched in the moment in which the link changed comes with the link before. Without parameters a link
    # says nothing: so begins a page that was come to by its name.
    state[_FOLLOWING] = bool(link) and link != state.get(_LEFT) and not touched
    state[_NEXT], state[_VALUES] = link, {}


def end_link() -> None:
    """Write what has changed in a run into the address."""
    state = st.session_state
    link: dict[str, str] = state.get(_NEXT, {})
    state[_LEFT] = link
    state[_VALUES] = {key: state[key] for key in state.get(_VALUES, {}) if key in state}
    if link != _link():
        st.query_params.from_dict(link)


def _link() -> dict[str, str]:
    return {key: value for key, value in st.query_params.to_dict().items() if key != _PLACE}


def is_followed() -> bool:
    """Whether this run shows what its link says, rather than what the controls said before."""
    return bool(st.session_state.get(_FOLLOWING))


def linked(key: str) -> str | None:
    """What the link says of a control."""
    return st.query_params.get(key)


def restore(
    key: str, known: Collection[Any] | None = None, *, read: Callable[[str], Any] = str, first: Any = None
) -> None:
    """Give a widget that has no value yet the one of the link, else the one it had on another page.

    Parameters
    ----------
    key : str
        Key of the widget, and name of the query parameter.
    known : collection, optional
        Values it may take; others, such as those of an outdated link, are dropped.
    read : callable
        Makes the value out of what the link says; a `ValueError` drops it. See also `switched` and `several`.
    first : optional
        Value to begin with where there is none.
    """
    value = None if is_followed() else st.session_state.get(key)
    if value is None and key in st.query_params:
        try:
            value = read(st.query_params[key])
        except (ValueError, OverflowError):  # such as the whole number of infinity
            value = None
    if not is_followed() and (value is None or (known is not None and value not in known)):
        value = st.session_state.get(_KEPT + key)
    if value is None or (known is not None and value not in known):
        value = first
    if value is None:
        st.session_state.pop(key, None)
    else:
        # Also if it has this value already: that may be the state of another page's widget, about to be dropped.
        st.session_state[key] = value


def keep(key: str, value: Any, *, first: Any = None) -> None:
    """Write a widget's value into the address and keep it for the other pages; one it began with needs no address."""
    state = st.session_state
    link: dict[str, str] = state.setdefault(_NEXT, _link())
    state.setdefault(_VALUES, {})[key] = None  # what it is as the run ends, `end_link` sees
    if value is None or value in ("", []):
        state.pop(_KEPT + key, None)
        link.pop(key, None)
        return
    state[_KEPT + key] = value
    if value == first:
        link.pop(key, None)
    else:
        link[key] = _said(value)


def switched(text: str) -> bool:
    """Whether a switch is on, as a link says it."""
    if text not in _SWITCHED.values():
        raise ValueError(text)
    return text == _SWITCHED[True]


def several(text: str) -> list[str]:
    """Names in a link."""
    return [one for one in text.split(_BETWEEN) if one]


def whole(low: int, high: int) -> Callable[[str], int]:
    """Reads a whole number of a link, held within bounds."""
    return lambda text: min(max(int(text), low), high)


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return _SWITCHED[value]
    return _BETWEEN.join(value) if isinstance(value, list) else str(value)
