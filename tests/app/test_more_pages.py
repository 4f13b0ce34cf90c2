"""The pages of regions and of sections show what `search` returns."""

import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import app.screens
from search.annotation.annotate import Annotating
from search.annotation.classes import classes_of_lines
from search.engine import Engine
from search.errors import AnnotationError

MAIN = Path(app.screens.__file__).with_name("main.py")
LINES = "Tumour: EPCAM KRT8 KRT19\nStroma: COL1A1 VIM"


@pytest.fixture
def open_page(small_db, monkeypatch):
    """Opens a page with a link."""

    def open_one(file: str, **link: str) -> AppTest:
        monkeypatch.setattr(sys, "argv", ["main.py", "--db", str(small_db)])
        page = AppTest.from_file(str(MAIN), default_timeout=60).run()
        page.switch_page(file)
        page.query_params.update(link)
        page.run()
        assert not page.exception
        return page

    return open_one


def test_regions_shows_the_classes_of_own_markers(open_page, small_db):
    page = open_page("regions.py", slide="GEN1-1", markers="Markers of your own", marker_lines=LINES)
    engine = Engine.open(small_db)
    expected = engine.annotate("GEN1-1", classes_of_lines(LINES), Annotating(None, rate=0.5)).to_pandas()
    shown = page.dataframe[-1].value
    assert shown["class"].tolist() == expected["class"].tolist()
    assert shown["id"].tolist() == expected["id"].tolist()
    assert {"Regions for QuPath (GeoJSON)", "Table (CSV)"} <= {button.label for button in page.download_button}


def test_a_line_that_is_no_class_is_one_sentence(open_page):
    page = open_page("regions.py", markers="Markers of your own", marker_lines="EPCAM KRT8")
    assert "'EPCAM KRT8' has no class" in page.error[0].value


def test_sections_are_laid_over_each_other(open_page, small_db):
    page = open_page("sections.py", slide="GEN1-1", other="GEN2-1")
    found = Engine.open(small_db).align("GEN1-1", "GEN2-1")
    assert f"median residual {found.residual_um:.0f} µm" in page.markdown[-1].value
    assert page.dataframe[-1].value["id"].tolist() == found.to_pandas()["id"].tolist()
    page.selectbox(key="other").set_value("GEN1-1").run()
    assert "two different slides" in page.info[0].value


@pytest.mark.parametrize(
    ("text", "said"),
    [("EPCAM", "has no class"), ("A: EPCAM\nA: VIM\nB: CD3D", "given twice"), ("A: EPCAM", "only one class")],
)
def test_lines_that_name_no_classes(text, said):
    with pytest.raises(AnnotationError, match=said):
        classes_of_lines(text)
