"""Questions of the screens go into the log of questions, which the Index page shows; and the parts of slides."""

import json
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import app.screens
from app.api.audit import environment_of_log, last_questions, log_at
from app.screens import slide_map
from encoders.registry import open_space
from indexer.building.build import build_index
from indexer.generated.sections import generated_sections
from search.engine import Engine

MAIN = Path(app.screens.__file__).with_name("main.py")


@pytest.fixture(scope="module")
def parts_db(tmp_path_factory):
    """Two generated slides with prototypes."""
    folder = tmp_path_factory.mktemp("parts") / "index"
    sections = generated_sections(n_patients=2, side_px=700)
    build_index(folder, sections, open_space("mini"), tile_stride_um=300.0, aggregator="prototypes")
    return folder


@pytest.fixture
def open_page(monkeypatch):
    monkeypatch.setattr(slide_map, "library", lambda: None)

    def open_one(db: Path) -> AppTest:
        monkeypatch.setattr(sys, "argv", ["main.py", "--db", str(db)])
        return AppTest.from_file(str(MAIN), default_timeout=60)

    return open_one


def test_each_question_is_noted_once_and_shown_on_the_index_page(open_page, small_db, tmp_path, monkeypatch):
    log = tmp_path / "questions.jsonl"
    for name, value in environment_of_log(log).items():
        monkeypatch.setenv(name, value)
    page = open_page(small_db).run()
    page.run()
    item = page.selectbox(key="item").value
    (noted,) = [json.loads(line) for line in log.read_text().splitlines()]
    assert (noted["verb"], noted["asked"]["id"], noted["status"]) == ("search", item, "answered")
    hits = next(table.value for table in page.dataframe if "score" in table.value)
    assert noted["n_hits"] == len(hits) > 0
    other = page.selectbox(key="item").options[0]
    page.selectbox(key="item").select(other).run()
    page.text_input(key="where").set_value("nonsense = 1").run()
    assert [entry["status"] for entry in last_questions(log, 10)] == ["FilterError", "answered", "answered"]
    page.switch_page("index.py")
    page.run()
    assert not page.exception
    shown = next(table.value for table in page.dataframe if "verb" in table.value)
    assert shown["status"].tolist() == ["FilterError", "answered", "answered"]
    assert other in shown["asked"][1]


def test_the_end_of_a_long_log_is_read(tmp_path):
    log = tmp_path / "questions.jsonl"
    log.write_bytes(b'{"verb": "first"}\n' + b"x" * 300_000 + b'\n{"verb": "last"}\n{"verb": ')
    assert last_questions(log, 5) == [{"verb": "last"}]
    assert last_questions(tmp_path / "nothing", 5) == []
    assert log_at(None) is log_at(None)


def test_the_index_page_names_encoders_and_versions(open_page, small_db):
    page = open_page(small_db).run()
    page.switch_page("index.py")
    page.run()
    assert not page.exception
    card = Engine.open(small_db).index.card
    licences = next(table.value for table in page.table if "licence" in table.value)["licence"]
    assert licences.tolist() == [info.licence for info in card.encoders.values()]
    versions = next(table.value for table in page.dataframe if "change" in table.value)
    assert versions["version"].max() == card.version
    assert any("notes no questions" in caption.value for caption in page.caption)


def test_matched_parts_of_a_chosen_slide(open_page, parts_db, small_db):
    page = open_page(parts_db)
    page.run()
    page.switch_page("slides.py")
    page.query_params["slide"] = "GEN1-1"
    page.query_params["parts_of"] = "GEN2-1"
    page.run()
    assert not page.exception
    engine = Engine.open(parts_db)
    expected = engine.slide_parts("GEN1-1", "GEN2-1")
    shown = next(table.value for table in page.dataframe if "other_item" in table.value)
    assert shown["other_item"].tolist() == expected.table.column("other_item").to_pylist()
    assert shown["cosine"].tolist() == pytest.approx(expected.table.column("cosine").to_pylist())


def test_an_index_without_parts_says_how_to_have_them(open_page, small_db):
    page = open_page(small_db).run()
    page.switch_page("slides.py")
    page.run()
    assert any("--aggregator prototypes" in caption.value for caption in page.caption)
