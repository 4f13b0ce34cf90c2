import pytest
from streamlit.testing.v1 import AppTest

from app.screens import login


def _page() -> None:
    import streamlit as st

    from app.screens.login import require_login

    require_login()
    st.write("the index")


@pytest.mark.parametrize(("configured", "shown"), [(None, "the index"), ("secrets.toml", "people who have logged in")])
def test_a_login_is_asked_for_where_one_is_configured(monkeypatch, configured, shown):
    monkeypatch.setattr(login, "login_of", lambda: configured)
    page = AppTest.from_function(_page).run()
    assert not page.exception
    assert len(page.markdown) == 1
    assert shown in page.markdown[0].value
    assert len(page.button) == (configured is not None)
