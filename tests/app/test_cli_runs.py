"""Reports of runs, dry runs, leaks and the doctor, as the command line shows them."""

import json

import pytest

from app.cli.asked import asked_of
from indexer.runs.reading import latest_runs
from indexer.store.location import locate
from tests.indexer.labelled_svs import write_labelled_svs


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """A slide of a patient's accession number, and a file that is none."""
    folder = tmp_path_factory.mktemp("scans")
    write_labelled_svs(folder / "S21-04417.svs", side_px=1_024)
    (folder / "cut.svs").write_bytes(b"II*\x00")
    return folder


def test_runs_are_listed_and_shown(histoseek, small_db):
    run = latest_runs(locate(small_db), 1)[0]
    listed = histoseek("index", "runs", "--db", small_db)
    assert run.id in listed.stdout
    assert "finished" in listed.stdout
    shown = histoseek("index", "runs", "last", "--db", small_db)
    assert "2 added of 2 slides" in shown.stdout
    assert "## Licences" in shown.stdout
    found = json.loads(histoseek("index", "runs", run.id, "--db", small_db, "--json").stdout)
    assert found["run"]["slides"][0]["outcome"] == "added"
    assert histoseek("index", "runs", "2019", "--db", small_db).code == 1


def test_leaks_are_none_in_an_index_of_two_sections(histoseek, small_db):
    told = histoseek("index", "leaks", "--db", small_db)
    assert "No slide of" in told.stdout
    assert json.loads(histoseek("index", "leaks", "--db", small_db, "--json").stdout)["leaks"] == []


def test_a_dry_run_writes_nothing_and_the_run_hides_names(histoseek, scans, tmp_path):
    given = ("ingest", scans, "--format", "slides", "--db", tmp_path / "db", "--workers", 0, "--tile-stride-um", 150)
    dry = histoseek(*given, "--dry-run")
    assert dry.code == 3
    assert "2 slides: 1 to read" in dry.stdout
    assert "Nothing was written." in dry.stdout
    assert "accession number" in dry.stdout
    assert list(tmp_path.iterdir()) == []

    ran = histoseek(*given, "--hash-names", tmp_path / "salt")
    assert ran.code == 3
    assert "1 slides added" in ran.stdout
    run = latest_runs(locate(tmp_path / "db"), 1)[0]
    assert f"index runs {run.id}" in ran.stdout
    assert run.asked["names"] == "(hidden)"
    assert "S21" not in run.model_dump_json()
    again = histoseek(*given, "--hash-names", tmp_path / "salt")
    assert "0 slides added, 0 replaced, 1 were there" in again.stdout


def test_the_doctor_looks_at_a_folder(histoseek, scans):
    told = histoseek("doctor", scans, "--json")
    assert told.code == 0
    found = {finding["what"]: finding for finding in json.loads(told.stdout)["findings"]}
    assert "0.5 um per px (file)" in found["S21-04417"]["found"]
    assert found["cut"]["found"].startswith("will fail")
    assert "hash-names" in found["names"]["next_step"]


def test_the_doctor_ends_with_1_when_something_is_broken(histoseek, tmp_path):
    told = histoseek("doctor", "--db", tmp_path / "nothing")
    assert told.code == 1
    assert "BROKEN" in told.stdout


def test_what_was_asked_is_said_without_places_where_names_are_hidden():
    params = {"names": ("DOE",), "db": "d", "again": False, "slide": (), "as_json": True, "hash_names": "salt"}
    assert asked_of(params, hide_names=True) == {"names": "(hidden)", "db": "d", "hash-names": "(hidden)"}
    assert asked_of(params, hide_names=False)["names"] == "DOE"
