"""Slides of features made elsewhere, from the command line to the pages: points without a picture, refusals by name."""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.figures.pictures import hit_pictures, item_picture, slide_pictures
from app.screens.question import DIRECTIONS
from search.engine import Engine
from search.query import ItemQuery

MAIN = Path(__file__).parents[2] / "app" / "screens" / "main.py"
N_TILES = 40


def write_features(path, *, encoder, dim, seed=0):
    """A TRIDENT file of 616 px tiles at 0.5 um/px, 308 um: what the default space takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    corners = np.array([[616 * (i % 8), 616 * (i // 8)] for i in range(N_TILES)])
    with h5py.File(path, "w") as file:
        file["features"] = np.random.default_rng(seed).normal(size=(N_TILES, dim)).astype(np.float32)
        file["coords"] = corners
        file["features"].attrs.update({"encoder": encoder, "name": path.stem})
        file["coords"].attrs.update({"patch_size": 616, "target_magnification": 20, "patch_size_level0": 616})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Feature files of three slides of two patients, and the table that describes them."""
    root = tmp_path_factory.mktemp("features")
    for seed, slide in enumerate(("S1", "S2", "S3")):
        write_features(root / "features_mini" / f"{slide}.h5", encoder="mini-image", dim=1152, seed=seed)
    rows = "S1,P1,breast,CC0-1.0\nS2,P2,breast,CC0-1.0\nS3,P2,breast,CC0-1.0\n"
    (root / "slides.csv").write_text("slide,patient_id,organ,licence\n" + rows)
    return root


def ingest(histoseek, folder, features, *more):
    where = ("--features", folder / features, "--slides", folder / "slides.csv")
    return histoseek("ingest", *where, "--db", folder / "db", *more)


@pytest.fixture
def db(histoseek, folder):
    assert ingest(histoseek, folder, "features_mini", "--aggregator", "prototypes").code == 0
    return folder / "db"


def test_features_become_an_index_and_a_second_run_adds_nothing(histoseek, folder, db):
    ran = ingest(histoseek, folder, "features_mini", "--json")
    report = json.loads(ran.stdout)["report"]
    assert (report["added"], report["skipped"]) == ([], ["S1", "S2", "S3"])
    assert report["n_items"] == 3 * (N_TILES + 1)
    found = json.loads(histoseek("search", "slide", "S2", "--db", db, "--exclude", "slide", "--json").stdout)
    assert found["query"]["aggregator"] == "prototypes-8"
    assert len(found["hits"]) == 2
    assert [one["other"] for one in found["parts"]] == [hit["slide"] for hit in found["hits"]]
    assert found["parts"][0]["rows"][0]["item"].startswith("S2/tile/")
    shown = histoseek("search", "slide", "S2", "--db", db, "--exclude", "slide").stdout
    assert "what they match on" in " ".join(shown.split())
    assert "compared by prototypes-8" in " ".join(histoseek("index", "stats", "--db", db).stdout.split())


def test_aggregators_are_listed_with_their_state(histoseek, monkeypatch, tmp_path):
    monkeypatch.setenv("HISTOSEEK_WEIGHTS", str(tmp_path))
    listed = json.loads(histoseek("encoders", "--json").stdout)["aggregators"]
    states = {row["name"]: row["state"] for row in listed}
    assert states == {"mean": "ready", "prototypes": "ready", "abmil": "weights missing"}


def test_features_of_another_encoder_end_in_one_sentence(histoseek, folder):
    write_features(folder / "features_uni" / "S1.h5", encoder="uni_v1", dim=1024)
    ran = ingest(histoseek, folder, "features_uni")
    assert ran.code == 1
    assert "features of encoder 'uni'; space 'mini' takes those of 'mini-image'" in " ".join(ran.stderr.split())


def test_something_must_be_ingested(histoseek, tmp_path):
    assert histoseek("ingest", "--db", tmp_path / "db").code == 2


def test_the_pages_show_points_and_say_that_there_is_no_picture(db, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["main.py", "--db", str(db)])
    page = AppTest.from_file(str(MAIN), default_timeout=60).run()
    assert not page.exception
    assert any("no picture here" in caption.value for caption in page.caption)
    assert page.get("bidi_component") or page.get("plotly_chart")  # the viewer, or the plain map without its library
    page.session_state["direction"] = next(name for name, sides in DIRECTIONS.items() if sides == ("image", "image"))
    page.run()
    cards = [element.proto.body for element in page.get("html")]
    assert any("No picture here, features only" in card for card in cards)
    page.switch_page("slides.py").run()
    assert not page.exception
    assert any("tiles came as features" in info.value for info in page.info)
    assert any("part by part (prototypes-8)" in caption.value for caption in page.caption)


def test_figures_draw_places_where_there_is_no_picture(db):
    engine = Engine.open(db)
    item = engine.catalogue.table.filter(engine.catalogue.table["kind"].to_numpy() == "tile")["id"][0].as_py()
    result = engine.search(ItemQuery(item, "image"), target="image", k=3)
    for picture in (item_picture(engine, item), *hit_pictures(engine, result)):
        assert picture.pixels is None
        assert picture.place is not None
        assert len(picture.place.xy_um) == N_TILES
    (query, *_) = slide_pictures(engine, engine.similar_slides("S1"), "S1")
    assert query.place is not None
