"""A link restores every control of a page, and a page writes them into its link."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

import app.screens
from app.screens import slide_map
from app.screens.linked_region import read_region, region_text
from app.viewer.component import Region

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


def test_a_link_that_changed_is_followed_unless_a_control_was_touched(open_page):
    page = open_page("tissue.py", {"slide": "GEN1-1", "k": "20"})
    before = link_of(page)
    page.slider(key="k").set_value(24).run()
    assert link_of(page) == before | {"k": "24"}
    page.query_params.clear()
    page.query_params.update(before)  # the browser went back
    page.run()
    assert page.slider(key="k").value == 20
    page.query_params.update(before | {"k": "28"})  # late: it was on its way when the control was touched
    page.slider(key="k").set_value(36).run()
    assert page.slider(key="k").value == 36
    assert link_of(page) == before | {"k": "36"}


def test_following_a_link_on_one_page_leaves_what_another_page_said(open_page):
    page = open_page("genes.py", {"genes": "ERBB2"})
    page.switch_page("tissue.py").run()
    page.query_params.clear()
    page.query_params.update({"slide": "GEN2-1"})
    page.run()
    assert page.selectbox(key="slide").value == "GEN2-1"
    page.switch_page("genes.py").run()
    assert link_of(page)["genes"] == "ERBB2"


@given(st.lists(st.tuples(*[st.integers(-10, 10**6).map(lambda tenths: tenths / 10)] * 2), min_size=3, max_size=100))
def test_a_region_in_a_link_is_the_one_that_was_drawn(corners):
    ring = [list(corner) for corner in (*corners, corners[0])]
    region = Region("S", {"type": "Polygon", "coordinates": [ring]})
    text = region_text(region)
    if text is None:
        assert len(corners) > 80  # too long only where there are many corners
    else:
        assert read_region(text, "S") == region


@pytest.mark.parametrize("text", ["", "1_2", "1_2_3_4_5", "a_b_c_d_e_f"])
def test_a_link_that_names_no_region(text):
    assert read_region(text, "S") is None
