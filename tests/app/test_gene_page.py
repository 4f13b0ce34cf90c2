"""The page of gene lists: aliases, weights in step with the text, sets and tables."""

import sys
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import app.screens
from app.screens import slide_map
from app.screens.gene_list import edited_text
from search.annotation.classes import marker_set
from search.engine import Engine
from search.query import GenesQuery

MAIN = Path(app.screens.__file__).with_name("main.py")


@pytest.fixture(scope="module")
def engine(small_db):
    return Engine.open(small_db)


@pytest.fixture(scope="module")
def page(small_db):
    """One page for the tests below, which leave nothing behind but its text."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slide_map, "library", lambda: None)
        patch.setattr(sys, "argv", ["main.py", "--db", str(small_db)])
        opened = AppTest.from_file(str(MAIN), default_timeout=60)
        opened.run()
        opened.switch_page("genes.py")
        opened.query_params["genes"] = "HER2:2 -VIM"
        opened.run()
        yield opened


def first_hits(page: AppTest, engine: Engine, text: str) -> None:
    assert not page.exception
    assert not page.error
    expected = engine.search(GenesQuery(text), target="image", k=12, exclude="none")
    assert page.dataframe[-1].value["id"].tolist() == expected.table.column("id").to_pylist()


def test_an_alias_is_read_as_the_current_symbol_and_this_is_said(page, engine):
    assert any("HER2 → ERBB2" in said.value for said in page.markdown)
    first_hits(page, engine, "ERBB2:2 -VIM")


def test_the_list_of_the_panel_names_aliases(page):
    assert any(option.startswith("ERBB2 (") and "HER2" in option for option in page.multiselect[0].options)


def test_genes_of_a_marker_set(page, engine):
    name, cell = "breast-cells", "T cells"
    page.selectbox(key="marker_set").select(name).run()
    page.selectbox(key="marker_class").select(cell).run()
    page.button(key="use-marker_class").click().run()
    text = str(marker_set(name).genes[cell])
    assert page.text_input(key="genes").value == text
    first_hits(page, engine, text)


def test_genes_of_a_pasted_table(page, engine):
    page.text_area(key="de_text").set_value("gene,logFC,padj\nERBB2,4,0.001\nVIM,-2,0.01\nACTB,9,0.5").run()
    assert any("2 of 3 rows with adjusted p < 0.05" in said.value for said in page.caption)
    page.button(key="use-de").click().run()
    assert page.text_input(key="genes").value == "ERBB2 -VIM:0.5"
    first_hits(page, engine, "ERBB2 -VIM:0.5")


def test_a_table_that_is_none_is_one_sentence(page):
    page.text_area(key="de_text").set_value("gene,score\nERBB2,4").run()
    assert ["no column of a log fold change" in error.value for error in page.error] == [True]


@pytest.mark.parametrize(
    ("edits", "text"),
    [
        ({"edited_rows": {0: {"weight": 3}}}, "ERBB2:3 VIM:-1"),
        ({"edited_rows": {1: {"gene": " KRT8 ", "weight": 1}}}, "ERBB2:2 KRT8"),
        ({"deleted_rows": [0]}, "VIM:-1"),
        ({"added_rows": [{"gene": "KRT19"}, {"weight": 4}, {}]}, "ERBB2:2 VIM:-1 KRT19"),
        ({"edited_rows": {0: {"weight": None}}}, "VIM:-1"),
    ],
)
def test_an_edit_of_the_table_is_one_of_the_text(edits, text):
    before = pd.DataFrame({"gene": ["ERBB2", "VIM"], "weight": [2.0, -1.0]})
    assert edited_text(before, {"edited_rows": {}, "added_rows": [], "deleted_rows": [], **edits}) == text
