"""`histoseek cohorts | mixing` on a small generated index."""

import json

import pytest


@pytest.fixture(scope="module")
def item(small_db):
    from search import Engine

    catalogue = Engine.open(small_db).catalogue
    return catalogue.column("id")[catalogue.column("kind") == "spot"][0]


def test_cohorts_have_a_picture(histoseek, small_db, item, tmp_path):
    ran = histoseek("cohorts", "--item", item, "--by", "label", "--db", small_db, "--out", tmp_path / "c.svg", "--json")
    assert ran.code == 0, ran.stderr
    groups = [row["group"] for row in json.loads(ran.stdout)["rows"]]
    picture = (tmp_path / "c.svg").read_text()
    assert picture.startswith("<?xml")
    assert groups


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "so there is nothing to mix; ask for site=patient"),
        (("--site", "patient"), "The items are of 2 slides; mixing needs at least 3."),
        (("--site", "patient", "--where", "organ = 'moon'"), "with an expression vector is left"),
    ],
)
def test_what_cannot_be_mixed_is_one_sentence(histoseek, small_db, arguments, message):
    ran = histoseek("mixing", "--db", small_db, *arguments)
    assert ran.code == 1
    assert message in ran.stderr
