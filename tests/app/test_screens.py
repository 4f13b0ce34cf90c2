"""The pages as Streamlit draws them, without a browser."""

import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote_plus

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import app.screens
from app.screens import question, slide_map
from app.screens.overlay import BY
from app.screens.tissue import prepare
from app.viewer.routes import ARRAYS
from indexer.runs.reading import latest_runs
from indexer.store.location import locate
from indexer.store.locks import writer_lock
from indexer.store.writer import IndexWriter
from indexer.upkeep.editing import delete_slides, roll_back
from search.catalogue import Catalogue
from search.engine import Engine
from search.query import GenesQuery, ItemQuery

MAIN = Path(app.screens.__file__).with_name("main.py")
PAGES = ("tissue.py", "genes.py", "slides.py", "index.py")


def texts(page: AppTest) -> str:
    """All that a page says, cards included."""
    said = [*page.markdown, *page.caption, *page.warning, *page.info, *page.success, *page.error, *page.subheader]
    return "\n".join([*(element.value for element in said), *cards(page)])


def cards(page: AppTest) -> list[str]:
    return [element.proto.body for element in page.get("html")]


def shown_hits(page: AppTest) -> list[str]:
    """Ids of the hits in the gallery, in order, from the links that open them."""
    return [unquote_plus(item) for item in re.findall(r'href="[^"]*item=([^"&]+)', "".join(cards(page)))]


def control(page: AppTest, label: str):
    """Segmented control of that label."""
    return next(group for group in page.button_group if group.label == label)


@pytest.fixture(scope="module")
def engine(small_db):
    return Engine.open(small_db)


@pytest.fixture
def open_page(small_db, monkeypatch):
    """Opens a page, slides as plain maps wherever the tests run."""
    monkeypatch.setattr(slide_map, "library", lambda: None)

    def open_one(file: str = "tissue.py", *, db: Path = small_db, **link: str) -> AppTest:
        monkeypatch.setattr(sys, "argv", ["main.py", "--db", str(db)])
        page = AppTest.from_file(str(MAIN), default_timeout=60)
        page.query_params.update(link)
        page.run()
        if file != "tissue.py":
            page.switch_page(file)
            page.query_params.update(link)
            page.run()
        assert not page.exception
        return page

    return open_one


@pytest.mark.parametrize("file", PAGES)
def test_generated_data_is_labelled_on_every_page(open_page, file):
    assert "Generated data" in open_page(file).warning[0].value


@pytest.mark.parametrize("file", PAGES)
def test_a_missing_index_is_one_sentence(open_page, tmp_path, file):
    page = open_page(db=tmp_path / "nothing")
    assert len(page.error) == 1
    assert "There is no index at" in page.error[0].value


def test_tissue_shows_the_hits_that_search_returns(open_page, engine):
    page = open_page()
    item = page.selectbox(key="item").value
    expected = engine.search(ItemQuery(item, "image"), target="expression", k=12)
    assert shown_hits(page) == expected.table.column("id").to_pylist()
    first = expected.to_pandas().iloc[0]
    assert f"1. {first['score']:.3f}" in texts(page)
    assert first["licence"] in texts(page)
    assert all(note in texts(page) for note in expected.notes)


def test_what_the_first_page_shows_is_worked_out_before_it_is_asked_for(open_page, engine, small_db, monkeypatch):
    asked = []
    search = Engine.search
    monkeypatch.setattr(Engine, "search", lambda *given, **terms: asked.append(given[1]) or search(*given, **terms))
    st.cache_data.clear()
    monkeypatch.setattr(sys, "argv", ["main.py", "--db", str(small_db)])
    prepare()
    assert len(asked) == 1
    page = open_page("tissue.py")
    assert len(asked) == 1
    found = search(engine, asked[0], target="expression" if asked[0].using == "image" else "image", k=12)
    assert shown_hits(page) == found.table.column("id").to_pylist()


def test_a_page_shows_what_was_committed_since_without_a_restart(open_page, engine, small_db, tmp_path):
    db = tmp_path / "index"
    shutil.copytree(small_db, db)
    delete_slides(db, ["GEN1-1"])
    page = open_page("genes.py", db=db, genes=engine.index.genes[0])
    assert {item.split("/")[0] for item in shown_hits(page)} == {"GEN2-1"}
    roll_back(db, engine.index.card.version)
    page.run()
    assert not page.exception
    assert {item.split("/")[0] for item in shown_hits(page)} == {"GEN1-1", "GEN2-1"}
    assert len(page.selectbox(key="slide").options) == 2


def test_an_item_without_any_vector_says_so(open_page, monkeypatch):
    monkeypatch.setattr(Catalogue, "modalities_of", lambda catalogue, row: ())
    page = open_page()
    assert "Choose another item" in page.info[0].value
    assert not shown_hits(page)


@pytest.mark.parametrize(
    ("state", "by_direction", "side"),
    [
        ({}, True, "image"),
        ({"direction": "expression → image"}, True, "expression"),
        ({"direction": "expression → image", "side": "image"}, False, "image"),
        ({"side": "expression"}, False, "expression"),
    ],
)
def test_the_overlay_asks_with_the_side_that_the_answer_does(monkeypatch, state, by_direction, side):
    monkeypatch.setattr(question, "st", SimpleNamespace(session_state=state))
    assert question.asked_side(("image", "expression"), by_direction=by_direction) == side
    assert question.asked_side(("expression",), by_direction=by_direction) == "expression"


def test_choosing_another_item_asks_again(open_page, engine):
    page = open_page()
    other = page.selectbox(key="item").options[0]
    page.selectbox(key="item").select(other).run()
    expected = engine.search(ItemQuery(other, "image"), target="expression", k=12)
    assert shown_hits(page) == expected.table.column("id").to_pylist()
    assert page.query_params["item"] in (other, [other])


@pytest.mark.parametrize(
    ("name", "using", "target"),
    [
        ("image → image", "image", "image"),
        ("expression → image", "expression", "image"),
        ("expression → expression", "expression", "expression"),
    ],
)
def test_directions(open_page, engine, name, using, target):
    page = open_page()
    control(page, "Direction").set_value(name).run()
    item = page.selectbox(key="item").value
    expected = engine.search(ItemQuery(item, using), target=target, k=12)
    assert shown_hits(page) == expected.table.column("id").to_pylist()


def test_without_its_library_the_viewer_gives_way_to_a_plain_map_and_says_so(open_page):
    page = open_page()
    assert "OpenSeadragon, which is not on this machine" in texts(page)
    assert len(page.get("plotly_chart")) == 1
    assert not viewers(page)


def viewers(page: AppTest) -> list[dict]:
    """What the viewers of a page were sent; other components show no slide."""
    sent = [json.loads(component.proto.json or "{}") for component in page.get("bidi_component")]
    return [one for one in sent if isinstance(one, dict) and "slide" in one]


def viewer_data(page: AppTest) -> dict:
    (sent,) = viewers(page)
    return sent


@pytest.mark.parametrize(("by", "name"), [("Expression of a gene", "log(1 + CP10k)"), ("Annotation", "annotation")])
def test_the_viewer_is_given_the_slide_its_items_and_their_colours(open_page, monkeypatch, engine, by, name):
    page = open_page()
    monkeypatch.setattr(slide_map, "library", lambda: Path("openseadragon.min.js"))
    page.run()
    assert not page.get("plotly_chart")
    sent = viewer_data(page)
    item, slide = page.selectbox(key="item").value, page.selectbox(key="slide").value
    assert (sent["slide"], sent["chosen"], sent["colours"]) == (slide, item, None)
    names = ARRAYS.get(sent["items"]["names"]).decode().split("\n")
    assert names == page.selectbox(key="item").options
    x, y = np.frombuffer(ARRAYS.get(sent["items"]["places"]), "<f4").reshape(-1, 2)[names.index(item)]
    assert (sent["target"]["x"], sent["target"]["y"]) == pytest.approx((x, y))
    page.radio(key="colour_by").set_value(next(one for one in BY if BY[one] == by)).run()
    colours = viewer_data(page)["colours"]
    assert name in colours["name"]
    values = np.frombuffer(ARRAYS.get(colours["values"]), "<f4")
    assert len(values) == len(names)
    if by == "Expression of a gene":
        row = engine.catalogue.row_of(item)
        gene = list(engine.index.genes).index(page.selectbox(key="overlay_gene").value)
        counted = engine.index.expression(np.array([row]))[0, gene]
        total = engine.index.metadata().column("total_counts")[row].as_py()
        assert values[names.index(item)] == pytest.approx(np.log1p(1e4 * counted / total), rel=1e-5)


def test_own_slide_can_be_left_in(open_page, engine):
    page = open_page()
    page.radio(key="exclude").set_value("none").run()
    item = page.selectbox(key="item").value
    expected = engine.search(ItemQuery(item, "image"), target="expression", k=12, exclude="none")
    assert shown_hits(page) == expected.table.column("id").to_pylist()


def test_a_filter_holds_and_a_bad_one_is_a_sentence(open_page):
    page = open_page()
    slide = page.selectbox(key="slide").value
    other = next(name for name in page.selectbox(key="slide").options if not name.startswith(slide)).split(",")[0]
    page.text_input(key="where").input(f"slide = '{other}'").run()
    assert {hit.split("/")[0] for hit in shown_hits(page)} == {other}
    page.text_input(key="where").input("colour = 'blue'").run()
    assert not page.exception
    assert "colour" in page.error[0].value
    assert page.selectbox(key="item").value  # the rest of the page stands


def test_a_filter_that_lets_nothing_through_says_what_to_do(open_page):
    page = open_page()
    page.text_input(key="where").input("organ = 'moon'").run()
    assert not page.exception
    assert "ilter" in texts(page)


def test_a_link_restores_slide_and_tile(open_page, engine):
    ids = engine.index.metadata().column("id").to_pylist()
    tile = [item for item in ids if "/tile/" in item][-1]
    page = open_page(slide=tile.split("/")[0], item=tile)
    assert page.selectbox(key="slide").value == tile.split("/")[0]
    assert page.selectbox(key="item").value == tile


def test_an_outdated_link_opens_the_page_all_the_same(open_page):
    page = open_page(slide="gone", item="gone/spot/1x1")
    assert page.selectbox(key="slide").value != "gone"
    assert shown_hits(page)


@pytest.mark.parametrize("view", ["Predicted genes", "Cell types", "Nearest cohorts"])
def test_other_answers(open_page, view):
    page = open_page()
    control(page, "Answer").set_value(view).run()
    assert not page.exception
    assert not page.error
    assert len(page.get("plotly_chart")) == 2  # the map and the answer


def test_composition_is_shown_from_own_counts_and_from_hits(open_page, engine):
    page = open_page()
    control(page, "Answer").set_value("Cell types").run()
    labels = [expander.label for expander in page.expander]
    assert labels == ["Shares from its own counts, as a table", "Shares from its hits, as a table"]
    assert page.dataframe[0].value["proportion"].sum() == pytest.approx(1, abs=1e-3)
    assert texts(page).count("generated data, not measured tissue") == 2


def test_genes_show_their_report_and_the_hits_that_search_returns(open_page, engine):
    text = f"{engine.index.genes[0]}:2 NOSUCHGENE"
    page = open_page("genes.py", genes=text)
    expected = engine.search(GenesQuery(text), target="image", k=12, exclude="none")
    assert page.text_input(key="genes").value == text
    assert shown_hits(page) == expected.table.column("id").to_pylist()
    assert "NOSUCHGENE: not known" in texts(page)
    assert page.get("plotly_chart")


@pytest.mark.parametrize("text", ["NOSUCHGENE", "ERBB2:x", "KRT19 -KRT19"])
def test_genes_that_cannot_be_asked_are_sentences(open_page, text):
    page = open_page("genes.py", genes=text)
    assert len(page.error) == 1
    assert not shown_hits(page)


def test_no_genes_say_how_to_begin(open_page):
    page = open_page("genes.py")
    assert "ERBB2:2 KRT19 -VIM" in page.info[0].value


def test_genes_picked_from_the_panel_are_added(open_page, engine):
    first, second = sorted(engine.index.genes)[:2]
    page = open_page("genes.py", genes=first)
    page.multiselect(key="genes_picked").select(second).run()
    assert page.text_input(key="genes").value == f"{first} {second}"


def test_slides_show_what_search_returns(open_page, engine):
    page = open_page("slides.py")
    slide = page.selectbox(key="slide").value
    expected = engine.similar_slides(slide, k=8).table.column("slide").to_pylist()
    assert page.dataframe[0].value["slide"].tolist() == expected


def test_the_chosen_slide_moves_along_between_pages(open_page):
    page = open_page()
    other = page.selectbox(key="slide").options[1].split(",")[0]
    page.selectbox(key="slide").select_index(1).run()
    page.switch_page("slides.py").run()
    assert page.selectbox(key="slide").value == other


def test_index_says_what_is_in_it(open_page, engine):
    page = open_page("index.py")
    shown = {metric.label: metric.value for metric in page.metric}
    kinds = engine.index.metadata().column("kind").to_pylist()
    assert shown["Slides"] == str(engine.index.card.n_slides)
    assert shown["Spots"] == f"{kinds.count('spot'):,}"
    card = engine.space.card
    assert card.revision in texts(page)
    assert len(page.dataframe) == 3 + bool(card.quality)  # slides, versions, runs, and how good the space is
    (run,) = latest_runs(engine.index.location, 5)
    assert page.selectbox(key="run").options == [f"{run.id}, finished"]
    assert "last run finished" in texts(page)
    assert "2 added of 2 slides" in texts(page)


def test_index_says_what_failed_and_what_to_do(open_page, small_db, tmp_path):
    shutil.copytree(small_db, tmp_path / "index")
    location = locate(tmp_path / "index")
    with writer_lock(location):
        IndexWriter.resume(location).commit_failure("X9", "SlideError", "Slide X9 has mpp None; expected a number.")
    page = open_page("index.py", db=tmp_path / "index")
    assert "1 slides failed" in texts(page)
    (row,) = page.table[0].value.to_dict("records")
    assert "slide, patient_id, mpp" in row["next step"]
