"""`histoseek evaluate` on generated sections: tables, JSON, files, refusals."""

import csv
import json

import pytest

from app.exports.evaluation_files import CSV_NAME, JSON_NAME, PICTURE_NAME
from app.tables.evaluation import evaluation_tables
from search.quality.index_evaluation import Evaluation
from search.quality.quality_figures import Figure


def figure(question, metric, method, value, **more):
    facts = {"group": "section S", "low": None, "high": None, "n_queries": 9, "n_gallery": 1234}
    return Figure(question=question, metric=metric, method=method, value=value, **(facts | more))


def test_json_csv_and_picture_agree(histoseek, small_db, tmp_path):
    ran = histoseek("evaluate", "--db", small_db, "--out", tmp_path / "new" / "folder", "--json")
    assert ran.code == 0, ran.stderr
    found = json.loads(ran.stdout)
    figures = {(f["question"], f["metric"], f["method"], f["group"]): f for f in found["figures"]}
    own = figures["image->expression", "R@10%", "mini", "all patients"]
    assert own["low"] <= own["value"] <= own["high"]
    assert own["n_gallery"] == 9  # spots of a generated section
    assert ("image->expression", "R@10%", "random", "all patients") in figures
    assert (
        figures["image->expression values", "mean Pearson over 50 genes", "mean expression", "all patients"]["value"]
        is None
    )
    assert figures["label from expression", "macro-F1 @5", "kNN on log-counts", "2 patients, each left out"]["value"]
    assert found["generated"] is True
    assert any("colour baseline is absent" in note for note in found["notes"])
    folder = tmp_path / "new" / "folder"
    assert json.loads((folder / JSON_NAME).read_text()) == found
    with (folder / CSV_NAME).open() as stream:
        assert len(list(csv.DictReader(stream))) == len(found["figures"])
    assert (folder / PICTURE_NAME).read_bytes()[:4] == b"\x89PNG"


def test_an_unknown_slide_is_one_clear_line(histoseek, small_db):
    ran = histoseek("evaluate", "--db", small_db, "--slide", "B9")
    assert ran.code == 1
    assert "No slide 'B9' in this index" in ran.stderr
    assert ran.stdout == ""


def test_one_slide_alone_says_what_is_missing(histoseek, small_db):
    from indexer.index import Index

    slide = Index.open(small_db).slides()["slide"][0].as_py()
    ran = histoseek("evaluate", "--db", small_db, "--slide", slide)
    assert ran.code == 0, ran.stderr
    for words in ("Retrieval between the sides, single spots", "random", "gallery", "R@10%", "Niche"):
        assert words.lower() in ran.stdout.lower()
    assert "asked about 1 slides" in ran.stdout


def test_tables_mark_what_was_trained_on_and_keep_kinds_apart():
    found = Evaluation(
        "space",
        "1",
        ("S",),
        (
            figure("image->expression", "R@10%", "space", 0.5, low=0.4, high=0.6, trained_on=True),
            figure("image->expression", "R@10%", "random", 0.1),
            figure("niche image->expression", "R@10%", "space", 0.9),
        ),
        (),
    )
    single, niche = evaluation_tables(found)
    assert [row[0] for row in single.rows] == ["space (trained on)", "random"]
    assert single.rows[0][1:] == ("0.500", "0.400 to 0.600", "9", "1,234")
    assert "niche" in niche.title
    assert len(niche.rows) == 1


@pytest.mark.real
def test_a_small_part_of_her2st(histoseek, mirror, tmp_path):
    db = tmp_path / "index"
    assert histoseek("ingest", "her2st", "--db", db, "--slide", "B1", "--slide", "D1", "--slide", "H1").code == 0
    ran = histoseek("evaluate", "--db", db, "--json")
    assert ran.code == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["slides"] == ["B1"]  # the space was trained on patients D and H
    labels = {f["method"]: f["value"] for f in found["figures"] if f["metric"] == "macro-F1 @5"}
    assert labels["mini"] > labels["random"]
    refused = histoseek("evaluate", "--db", db, "--slide", "D1")
    assert refused.code == 1
    assert "--include-trained" in refused.stderr
