"""Marks under hits move the question; files of the hits are offered."""

import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import app.screens
from search.engine import Engine
from search.query import ExamplesQuery, GenesQuery, ItemQuery

MAIN = Path(app.screens.__file__).with_name("main.py")


@pytest.fixture
def genes_page(small_db, monkeypatch) -> AppTest:
    """The answer to two genes."""
    monkeypatch.setattr(sys, "argv", ["main.py", "--db", str(small_db)])
    page = AppTest.from_file(str(MAIN), default_timeout=60).run()
    page.switch_page("genes.py")
    page.query_params.update({"genes": "ERBB2:2 KRT19"})
    page.run()
    assert not page.exception
    return page


def _shown(page: AppTest) -> str:
    return "".join(element.proto.body for element in page.get("html"))


def test_marks_rank_anew_as_search_does_and_are_forgotten(genes_page, small_db):
    before = _shown(genes_page)
    page = genes_page.toggle(key="refine").set_value(True).run()
    thumbs = page.feedback
    assert len(thumbs) == 12
    thumbs[0].set_value(1)
    thumbs[3].set_value(0)
    page.run()
    assert not page.exception
    assert "1 right, 1 wrong" in page.markdown[-1].value + "".join(m.value for m in page.markdown)

    engine, asked = Engine.open(small_db), GenesQuery("ERBB2:2 KRT19")
    first = engine.search(asked, target="image", k=12, exclude="none").table.column("id").to_pylist()
    moved = ExamplesQuery(asked, (ItemQuery(first[0], "image"),), (ItemQuery(first[3], "image"),))
    expected = engine.search(moved, target="image", k=12, exclude="none")
    best = expected.to_pandas().iloc[0]
    assert str(best["id"]).rsplit("/", 1)[-1] in _shown(page)
    assert f"1. {best['score']:.3f}" in _shown(page)

    next(button for button in page.button if button.label == "Forget marks").click().run()
    page.toggle(key="refine").set_value(False).run()
    assert _shown(page) == before


def test_hits_can_be_downloaded_in_every_kind(genes_page):
    offered = {button.label for button in genes_page.download_button}
    assert {"Table (CSV)", "Counts, positions and vectors (h5ad)", "Figure (SVG)", "Report (HTML)"} <= offered
    assert any(label.startswith("Outlines for QuPath") for label in offered)


def test_a_hit_is_explained_when_it_is_chosen(genes_page, small_db):
    hits = next(one for one in genes_page.selectbox if one.label == "Hit")
    assert hits.value is None
    page = hits.select_index(0).run()
    chosen = next(one for one in page.selectbox if one.label == "Hit").value
    assert not page.exception
    engine = Engine.open(small_db)
    best = engine.search(GenesQuery("ERBB2:2 KRT19"), target="image", k=1, exclude="none").table["id"][0].as_py()
    assert chosen == best
    told = engine.explain(GenesQuery("ERBB2:2 KRT19"), best, target="image").to_pandas()
    shown = next(one.value for one in page.dataframe if "gene" in one.value)
    assert shown["gene"].tolist() == told["gene"].tolist()


def test_slides_of_marked_hits_may_answer_but_not_the_own_slide(small_db, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["main.py", "--db", str(small_db)])
    page = AppTest.from_file(str(MAIN), default_timeout=60).run()
    own = page.selectbox(key="item").value.split("/")[0]
    page.toggle(key="refine").set_value(True).run()
    before = len(page.feedback)
    page.feedback[0].set_value(1)
    page.run()
    assert not page.exception
    assert len(page.feedback) == before  # of two slides none would be left without those of the marks
    assert f"item={own}%2F" not in _shown(page)
