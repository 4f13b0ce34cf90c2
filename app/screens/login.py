"""Asks who a visitor is, where a login is configured (`[auth]` in `.streamlit/secrets.toml`)."""

import streamlit as st

from app.exposure import login_of


def require_login() -> None:
    """Show the login and nothing else to who has not logged in; nothing at all where no login is configured."""
    if login_of() is None or st.user.get("is_logged_in"):
        return
    st.title("HistoSeek")
    st.write("This index is shown to people who have logged in.")
    st.button("Log in", type="primary", icon=":material/login:", on_click=st.login)
    st.stop()
