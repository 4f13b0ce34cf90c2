"""Queries made of several things, and explanations, from the command line."""

import json

import numpy as np
import pytest

from indexer.index import Index
from search.explanation import explain
from search.explanation.pictures import Occlusion


@pytest.fixture(scope="module")
def spots(small_db):
    rows = [row for row in Index.open(small_db).metadata().to_pylist() if row["kind"] == "spot"]
    return sorted(rows, key=lambda row: row["id"])


@pytest.fixture
def drawn(tmp_path, spots):
    """GeoJSON around the ten first spots of a slide, and the name of the slide."""
    first = [row for row in spots if row["slide"] == spots[0]["slide"]][:10]
    low, high = ([edge(row[axis] for row in first) for axis in ("x_px", "y_px")] for edge in (min, max))
    ring = [[low[0] - 1, low[1] - 1], [high[0] + 1, low[1] - 1], [high[0] + 1, high[1] + 1], [low[0] - 1, high[1] + 1]]
    geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    path = tmp_path / "drawn.geojson"
    path.write_text(json.dumps({"type": "Feature", "geometry": geometry, "properties": {"objectType": "annotation"}}))
    return path, first[0]["slide"]


def answered(ran):
    assert ran.code == 0, ran.stderr
    return json.loads(ran.stdout)


def test_genes_are_asked_for_by_any_of_their_names_and_it_is_said(histoseek, small_db, spots):
    found = answered(histoseek("search", "genes", "HER2:2", "KRT19", "ERBBB2", "--db", small_db, "--json"))
    assert found["notes"][0] == "HER2 was read as ERBB2."
    assert found["genes"]["used"] == ["ERBB2", "KRT19"]
    predicted = answered(
        histoseek("predict", "--item", spots[0]["id"], "--gene", "HER2", "--no-intervals", "--db", small_db, "--json")
    )
    assert [row["gene"] for row in predicted["rows"]] == ["ERBB2"]
    assert "HER2 was read as ERBB2." in predicted["notes"]
    refused = histoseek("search", "genes", "ERBBB2", "--db", small_db)
    assert refused.code == 1
    assert "ERBBB2 is not known; spelled alike: ERBB2" in refused.stderr


def test_a_slide_is_asked_with_as_an_item_is_where_more_is_wanted_than_slides(histoseek, small_db, spots):
    asked = ("search", "slide", spots[0]["slide"], "--db", small_db, "--json", "--exclude", "none")
    assert {hit["kind"] for hit in answered(histoseek(*asked))["hits"]} == {"slide"}
    assert {hit["kind"] for hit in answered(histoseek(*asked, "--kind", "spot"))["hits"]} == {"spot"}
    assert answered(histoseek(*asked, "--group-by", "patient"))["query"]["group_by"] == "patient"


def test_examples_a_region_a_group_and_parts_at_once_are_searched(histoseek, small_db, spots, drawn):
    item, like, unlike = (row["id"] for row in spots[:3])
    path, slide = drawn
    asked = {
        "examples": ("item", item, "--like", like, "--unlike", unlike, "--exclude", "none"),
        "region": ("region", path, "--slide", slide),
        "group": ("group", "--of", f"slide = '{slide}'"),
        "composed": ("compose", "--item", item, "--genes", "EPCAM", "--weight", "genes=2"),
    }
    for kind, arguments in asked.items():
        found = answered(histoseek("search", *arguments, "--db", small_db, "--json"))
        assert found["query"]["type"] == kind
        assert found["hits"]
    parts = answered(histoseek("search", "region", path, "--slide", slide, "--parts", 2, "--db", small_db, "--json"))
    assert [one["query"]["part"] for one in parts["results"]] == [1, 2]


def test_other_verbs_take_a_region_and_parts_at_once(histoseek, small_db, spots, drawn):
    path, slide = drawn
    region = ("--region", path, "--slide", slide)
    assert answered(histoseek("predict", *region, "--db", small_db, "--json"))["query"]["type"] == "region"
    both = ("--item", spots[0]["id"], "--genes", "EPCAM", "--compose")
    assert answered(histoseek("predict", *both, "--db", small_db, "--json"))["query"]["type"] == "composed"


def test_a_hit_is_explained_with_a_picture(histoseek, small_db, spots, tmp_path, monkeypatch):
    losses = np.arange(36.0).reshape(6, 6) / 100
    monkeypatch.setattr(explain, "occlusion", lambda patch, space, other, of: Occlusion(of, losses, 0.5, "slide"))
    hit, out = spots[-1]["id"], tmp_path / "why.png"
    ran = histoseek("explain", hit, "--item", spots[0]["id"], "--using", "image", "--db", small_db, "--out", out)
    assert ran.code == 0, ran.stderr
    assert hit in ran.stdout
    assert "square 6, 6 of 6 x 6 (row, column) costs most, 0.350" in " ".join(ran.stdout.split())
    assert out.stat().st_size > 10_000
    told = answered(histoseek("explain", hit, "--genes", "EPCAM:2 VIM", "--db", small_db, "--json"))
    assert {row["gene"] for row in told["rows"] if row["loss"] is not None} == {"EPCAM", "VIM"}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("predict", "--item", "x", "--genes", "EPCAM"), "--compose to ask with all at once"),
        (("predict", "--item", "x", "--weight", "item=2"), "--weight is for several parts"),
        (("predict", "--region", "r.geojson"), "without --slide"),
        (("search", "compose", "--item", "x"), "give at least two"),
        (("search", "compose", "--item", "x", "--genes", "EPCAM", "--weight", "genes"), "expected PART=NUMBER"),
        (("search", "compose", "--item", "x", "--genes", "EPCAM", "--weight", "patch=2"), "those are item, genes"),
        (("search", "region", "no.geojson", "--slide", "x"), "Cannot read the regions"),
    ],
)
def test_what_cannot_be_asked_is_one_line(histoseek, small_db, arguments, problem):
    ran = histoseek(*arguments, "--db", small_db)
    assert ran.code == 1
    assert problem in ran.stderr
    assert ran.stderr.count("\n") == 1
