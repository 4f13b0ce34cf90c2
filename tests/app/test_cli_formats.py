"""`histoseek ingest PATH --format NAME`: folders of files, described by a table, the damaged ones told."""

import json

from tests.indexer import written_files as written


def test_a_folder_with_a_damaged_sample_is_ingested_but_for_it(histoseek, tmp_path):
    for name in ("V1", "V2"):
        written.write_outs(tmp_path / "run" / name / "outs", picture=False)
    (tmp_path / "run" / "V2" / "outs" / "spatial" / "tissue_positions.csv").unlink()
    (tmp_path / "slides.csv").write_text("slide,patient_id,organ\nV1,P1,breast\nV2,P2,breast\n")
    where = (tmp_path / "run", "--format", "visium", "--slides", tmp_path / "slides.csv", "--db", tmp_path / "db")
    ran = histoseek("ingest", *where, "--json")
    report = json.loads(ran.stdout)["report"]
    assert ran.code == 3
    assert report["added"] == ["V1"]
    assert report["n_items"] == 21  # the slide and its twenty spots
    assert [(one["slide"], one["error"]) for one in report["failed"]] == [("V2", "JoinError")]
    assert any("species human" in note and "summed (VIM)" in note for note in report["notes"])
    again = json.loads(histoseek("ingest", *where, "--json").stdout)["report"]
    assert (again["added"], again["skipped"]) == ([], ["V1"])


def test_an_unknown_format_lists_the_known_and_a_path_alone_asks_for_one(histoseek, tmp_path):
    wrong = histoseek("ingest", tmp_path, "--format", "visum", "--db", tmp_path / "db")
    assert wrong.code == 1
    assert "no format 'visum'; expected one of: visium" in " ".join(wrong.stderr.split())
    alone = histoseek("ingest", tmp_path, "--db", tmp_path / "db")
    assert alone.code == 1
    assert "add --format" in " ".join(alone.stderr.split())
