"""Sentences beside an answer."""

import streamlit as st


def show_notes(notes: tuple[str, ...]) -> None:
    """Sentences the user should read."""
    if notes:
        st.caption("  \n".join(f":material/info: {note}" for note in notes))
