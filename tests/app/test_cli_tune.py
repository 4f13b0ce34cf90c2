"""`histoseek index tune` in tables and in JSON."""

import json


def test_tune_measures_both_sides(histoseek, small_db):
    ran = histoseek("index", "tune", "--db", small_db, "--queries", "5", "-k", "3", "--json")
    assert ran.code == 0, ran.stderr
    rows = json.loads(ran.stdout)["rows"]
    assert {row["queries"] for row in rows["image"]} == {"own", "other side"}
    assert all(row["recall"] == 1 and row["tolerance"] == 0 for of_side in rows.values() for row in of_side)
    shown = histoseek("index", "tune", "--db", small_db, "--queries", "5", "--modality", "image").stdout
    assert "every vector" in shown
    assert "expression" not in shown


def test_a_recall_above_one_is_a_slip_of_the_pen(histoseek, small_db):
    assert histoseek("index", "tune", "--db", small_db, "--recall", "99").code == 2
