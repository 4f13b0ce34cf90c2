"""The view as an address: what is picked stands in the query parameters, and moves along between pages."""

from collections.abc import Callable, Collection
from typing import Any

import streamlit as st

_KEPT = "kept-"  # widgets that are not on a page lose their state; these copies do not
_SWITCHED = {True: "yes", False: "no"}
_BETWEEN = ","


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
    value = st.session_state.get(key)
    if value is None and key in st.query_params:
        try:
            value = read(st.query_params[key])
        except (ValueError, OverflowError):  # such as the whole number of infinity
            value = None
    if value is None or (known is not None and value not in known):
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
    if value is None or value in ("", []):
        st.session_state.pop(_KEPT + key, None)
        st.query_params.pop(key, None)
        return
    st.session_state[_KEPT + key] = value
    if value == first:
        st.query_params.pop(key, None)
    elif st.query_params.get(key) != (said := _said(value)):
        st.query_params[key] = said


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
