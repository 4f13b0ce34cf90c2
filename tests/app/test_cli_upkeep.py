"""The verbs that keep an index in order: optimize, delete, versions, tag, rollback, unlock."""

import json

import pytest

from indexer.store.location import locate
from indexer.store.locks import writer_lock
from tests.indexer.tiny_index import add


@pytest.fixture
def db(tmp_path, monkeypatch):
    """Versions 1 (empty), 2 (A), 3 (A, B)."""
    monkeypatch.setattr("os.nice", lambda steps: None)  # it cannot be taken back, and the other tests go on
    add(tmp_path / "index", "A", "B")
    return str(tmp_path / "index")


def answered(ran):
    assert ran.code == 0, ran.stderr
    return json.loads(ran.stdout)


def held(histoseek, db):
    return [row["slide"] for row in answered(histoseek("index", "stats", "--db", db, "--json"))["slides"]]


def test_from_a_tag_to_its_rollback(histoseek, db):
    assert answered(histoseek("index", "tag", "both", "--db", db, "--json")) == {"db": db, "tag": "both", "version": 3}
    deleted = answered(histoseek("index", "delete", "--slide", "A", "--db", db, "--json"))
    assert (deleted["version"], deleted["deleted"]) == (4, ["A"])
    assert held(histoseek, db) == ["B"]
    report = answered(histoseek("index", "optimize", "--keep-hours", "0", "--db", db, "--json"))["report"]
    assert (report["versions_kept"], report["versions_removed"]) == (
        [3, report["version"]],
        [1, 2, *range(4, report["version"])],
    )
    assert held(histoseek, f"{db}@both") == ["A", "B"]
    listed = answered(histoseek("index", "versions", "--db", db, "--json"))["versions"]
    assert [(row["version"], row["slides"], row["tags"]) for row in listed] == [
        (3, 2, ["both"]), (report["version"], 1, []),
    ]  # fmt: skip
    assert "slide B added" in histoseek("index", "versions", "--db", db).stdout
    assert "2 slides, 12 items" in histoseek("index", "rollback", "both", "--db", db).stdout
    assert held(histoseek, db) == ["A", "B"]
    storage = answered(histoseek("index", "stats", "--db", db, "--json"))["storage"]
    assert storage["tags"] == {"both": 3}
    assert histoseek("index", "verify", "--db", db).code == 0
    assert histoseek("index", "tag", "both", "--remove", "--db", db).code == 0


def test_an_index_of_lancedb_is_made_shown_and_checked(histoseek, db):
    add(db, "C", n=300)
    with_one = histoseek("index", "optimize", "--lance-index", "--db", db)
    assert with_one.code == 0, with_one.stderr
    add(db, "D")
    assert answered(histoseek("index", "stats", "--db", db, "--json"))["storage"]["lance_rows"] == {"image": [312, 6]}
    assert "LanceDB's own index holds 312 rows (6 beside it)" in histoseek("index", "stats", "--db", db).stdout
    checked = histoseek("index", "verify", "--db", db)
    assert checked.code == 0
    assert "LanceDB's own image index: ok (312 rows in 16 lists, 6 beside)" in checked.stdout
    refused = histoseek("search", "genes", "G0", "--db", db, "--engine", "codes", "--search-device", "cuda")
    assert (refused.code, "Engine codes keeps no vectors to put on a GPU" in refused.stderr) == (1, True)
    assert answered(histoseek("index", "optimize", "--db", db, "--json"))["report"]["version"]
    assert answered(histoseek("index", "stats", "--db", db, "--json"))["storage"]["lance_rows"] == {"image": [318, 0]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("delete", "--slide", "X"), "no slide X"),
        (("rollback", "9"), "no version 9"),
        (("tag", "3"), "cannot name a version"),
        (("tag", "x", "--version", "7"), "no version 7"),
        (("tag", "x", "--remove"), "no tag 'x'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(histoseek, db, words, said):
    ran = histoseek("index", *words, "--db", db)
    assert (ran.code, ran.stdout) == (1, "")
    assert said in ran.stderr


def test_a_second_writer_is_told(histoseek, db):
    with writer_lock(locate(db)):
        ran = histoseek("index", "optimize", "--db", db)
    assert ran.code == 1
    assert "is being written by process" in ran.stderr
    assert "--wait SECONDS" in ran.stderr
    assert "There was no lock." in histoseek("index", "unlock", "--db", db).stderr
