"""The view as an address: what is picked stands in the query parameters, and moves along between pages."""

from collections.abc import Collection

import streamlit as st

_KEPT = "kept-"  # widgets that are not on a page lose their state; these copies do not


def restore(key: str, known: Collection[str] | None = None) -> None:
    """Give a widget that has no value yet the one of the link, else the one it had on another page.

    Parameters
    ----------
    key : str
        Key of the widget, and name of the query parameter.
    known : collection of str, optional
        Values it may take; others, such as those of an outdated link, are dropped.
    """
    value = st.session_state.get(key) or st.query_params.get(key) or st.session_state.get(_KEPT + key)
    if value is None or (known is not None and value not in known):
        st.session_state.pop(key, None)
    else:
        # Also if it has this value already: that may be the state of another page's widget, about to be dropped.
        st.session_state[key] = value


def keep(key: str, value: str | None) -> None:
    """Write a widget's value into the address and keep it for the other pages."""
    if value:
        st.session_state[_KEPT + key] = value
        if st.query_params.get(key) != value:
            st.query_params[key] = value
    else:
        st.session_state.pop(_KEPT + key, None)
        st.query_params.pop(key, None)
