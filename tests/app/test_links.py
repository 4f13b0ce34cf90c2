"""A link restores every control of a page, and a page writes them into its link."""

import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import app.screens
from app.screens import slide_map

MAIN = Path(app.screens.__file__).with_name("main.py")
TISSUE = {
    "slide": "GEN1-1",
    "view": "Nearest cohorts",
    "side": "expression",
    "k": "20",
    "exclude": "none",
    "pictured": "yes",
    "where": "organ = 'breast'",
    "colour_by": "gene",
    "overlay_gene": "ERBB2",
    "by": "technology",
}
SECTIONS = {"slide": "GEN1-1", "other": "GEN2-1", "align_model": "rigid", "align_using": "Image", "align_mirror": "yes"}


@pytest.fixture
def open_page(small_db, monkeypatch):
    monkeypatch.setattr(slide_map, "library", lambda: None)
    monkeypatch.setattr(sys, "argv", ["main.py", "--db", str(small_db)])

    def open_one(file: str, link: dict[str, str]) -> AppTest:
        page = AppTest.from_file(str(MAIN), default_timeout=60)
        if file != "tissue.py":
            page.run()
            page.switch_page(file)
        page.query_params.clear()
        page.query_params.update(link)
        page.run()
        assert not page.exception
        return page

    return open_one


def link_of(page: AppTest) -> dict[str, str]:
    return {key: value[0] if isinstance(value, list) else value for key, value in page.query_params.items()}


@pytest.mark.parametrize(("file", "link"), [("tissue.py", TISSUE), ("sections.py", SECTIONS)])
def test_a_link_restores_every_control_and_stays_as_it_is(open_page, file, link):
    page = open_page(file, link)
    assert {key: value for key, value in link_of(page).items() if key != "item"} == link


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("k", "many"),
        ("exclude", "everything"),
        ("pictured", "perhaps"),
        ("colour_by", "magic"),
        ("view", "Nonsense"),
    ],
)
def test_what_a_link_cannot_say_is_dropped(open_page, key, value):
    page = open_page("tissue.py", {key: value})
    assert not page.error
    assert key not in link_of(page)


def test_what_is_at_its_beginning_makes_no_link_longer(open_page):
    page = open_page("tissue.py", {})
    assert set(link_of(page)) == {"slide", "item"}
    page.slider(key="k").set_value(16).run()
    assert link_of(page)["k"] == "16"
    page.slider(key="k").set_value(12).run()
    assert "k" not in link_of(page)
