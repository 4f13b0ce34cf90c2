"""Reports of runs, leaks and the doctor, as the command line shows them; `test_safety_page` runs the rest."""

import json

from app.cli.asked import asked_of
from indexer.runs.reading import latest_runs
from indexer.store.location import locate


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


def test_the_doctor_ends_with_1_when_something_is_broken(histoseek, tmp_path):
    told = histoseek("doctor", "--db", tmp_path / "nothing")
    assert told.code == 1
    assert "BROKEN" in told.stdout


def test_what_was_asked_is_said_without_places_where_names_are_hidden():
    params = {"names": ("DOE",), "db": "d", "again": False, "slide": (), "as_json": True, "hash_names": "salt"}
    assert asked_of(params, hide_names=True) == {"names": "(hidden)", "db": "d", "hash-names": "(hidden)"}
    assert asked_of(params, hide_names=False)["names"] == "DOE"
