"""`histoseek predict`: tables, pictures and files, on generated slides."""

import json

import anndata
import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def spot(small_db):
    from indexer.index import Index

    return next(i for i in Index.open(small_db).columns.array("id").to_pylist() if i.startswith("GEN1-1/spot/"))


def size_of(picture):
    with Image.open(picture) as image:
        return image.size


@pytest.mark.parametrize("mode", ["softmax", "mean50", "mean", "ridge"])
def test_every_mode_answers_in_json(histoseek, small_db, spot, mode):
    ran = histoseek("predict", "--item", spot, "--mode", mode, "--n-genes", 4, "--db", small_db, "--json")
    found = json.loads(ran.stdout)
    assert (ran.code, found["mode"], len(found["rows"])) == (0, mode, 4)
    assert (found["temperature"] is not None) == (mode == "softmax")


def test_intervals_and_predictability_are_shown_and_drawn(histoseek, small_db, spot, tmp_path, monkeypatch):
    monkeypatch.setattr("search.expression.intervals.MIN_SPOTS", 4)  # of two small sections
    picture = tmp_path / "genes.png"
    asked = ("predict", "--genes", "ERBB2 KRT19", "--n-genes", 5, "--db", small_db)
    ran = histoseek(*asked, "--out", picture)
    assert "from (90%)" in ran.stdout
    assert "it is no better than chance" in " ".join(ran.stdout.split())
    assert size_of(picture)[0] > 600
    assert "from (90%)" not in histoseek(*asked, "--no-intervals").stdout
    # Of two patients one is asked about, and the other has nobody to be predicted from.
    assert "No intervals: fewer than 30 spots" in histoseek("predict", "--item", spot, "--db", small_db).stdout


def test_a_slide_becomes_an_h5ad_and_a_map(histoseek, small_db, tmp_path):
    file, picture = tmp_path / "maps.h5ad", tmp_path / "maps.png"
    ran = histoseek(
        "predict", "--slide", "GEN1-1", "--db", small_db, "--n-genes", 6, "--out", file, "--out", picture, "--json"
    )
    assert ran.code == 0, ran.stderr
    assert json.loads(ran.stdout)["excluded_patients"] == ["GEN1"]
    assert size_of(picture)[1] > 400
    made = anndata.read_h5ad(file)
    assert made.n_vars == 6
    assert set(made.layers) == {"counts", "predicted", "predicted_sd"}
    assert np.isfinite(made.layers["predicted"]).all()
    assert made.obsm["spatial"].shape == (made.n_obs, 2)
    assert made.obsm["X_mini"].shape[0] == made.n_obs
    assert {"slide", "patient", "library_id", "has_counts"} <= set(made.obs)
    assert {"gene_id", "predictability"} <= set(made.var)
    assert made.uns["histoseek"]["space"] == "mini"
    assert "CC0-1.0 (generated)" in made.uns["histoseek"]["licences"][0]
    assert not list(tmp_path.glob("*.part"))
    counted = made.obs["has_counts"].to_numpy()
    assert 0 < counted.sum() < made.n_obs
    assert (np.asarray(made.X.sum(axis=1)).ravel()[~counted] == 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--slide", "GEN1-1", "--out", "maps.xlsx"), "maps.xlsx is no file"),
        (("--item", "x", "--out", "maps.h5ad"), "ask with --slide NAME alone"),
        (("--slide", "GEN1-1", "--exclude", "none", "--out", "m.png"), "own counts answer for it"),
        (("--slide", "GEN1-1", "--gene", "NOTAGENE", "--out", "m.png"), "NOTAGENE"),
        (("--slide", "GEN1-1", "--mode", "mean50", "--coverage", "0.9"), "Intervals are measured for mode 'softmax'"),
    ],
)
def test_what_cannot_be_written_is_one_line(histoseek, small_db, arguments, message):
    ran = histoseek("predict", *arguments, "--db", small_db)
    assert ran.code == 1
    assert message in ran.stderr
