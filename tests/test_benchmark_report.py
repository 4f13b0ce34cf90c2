"""How benchmark rows are printed."""

import json

import pytest

from benchmarks.quality import _rows, in_docs
from benchmarks.report import Row, markdown, show, write_between_marks
from search.quality.quality_figures import Figure


def figure(method, value, metric="macro-F1 @5", question="label from expression"):
    return Figure(question, metric, method, "7 patients, each left out", value, None, None, 100, 90)


def test_json_is_one_object_a_line(capsys):
    show(
        [Row("quality", "a", 0.5, "share", None, 3), Row("quality", "b", None, "r", "a", 3, "undefined")], as_json=True
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["value"] for line in lines] == [0.5, None]
    assert set(lines[0]) == {"bench", "row", "value", "unit", "baseline", "n", "note"}


def test_markdown_puts_baselines_beside_their_row():
    rows = [
        Row("quality", "x R@10%", 0.25, "share", "x R@10% (random)", 1283),
        Row("q", "x R@10% (random)", 0.1, "", None, 9),
    ]
    line = markdown(rows).splitlines()[-1]
    assert line == "| x R@10% | **0.250** | random 0.100 | 1,283 |  |"


def test_the_region_row_of_the_bar_has_its_name_and_baselines():
    figures = [figure("kNN on log-counts", 0.2), figure("mini", 0.3), figure("random", 0.1)]
    rows = {row.row: row for row in _rows("region", figures, question="label from expression")}
    assert list(rows) == ["region macro-F1", "region macro-F1 (kNN on log-counts)", "region macro-F1 (random)"]
    assert rows["region macro-F1"].baseline == "region macro-F1 (random)"
    assert rows["region macro-F1"].value == 0.3


def test_rows_of_the_bar_are_spelt_as_in_the_bar():
    own = [figure("mini", 0.3, "R@10%", "10-gene lists->image"), figure("random", 0.1, "R@10%", "10-gene lists->image")]
    rows = list(_rows("C->B4 10-gene lists->image", own, question="10-gene lists->image"))
    assert [row.row for row in rows] == [
        "C->B4 10-gene lists->image R@10%",
        "C->B4 10-gene lists->image R@10% (random)",
    ]


def test_the_table_of_a_page_is_replaced_and_nothing_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table -->\nold\n<!-- end of table -->\nafter\n")
    for table in ("| first |", "| second |"):
        write_between_marks(page, table)
    assert page.read_text() == "before\n<!-- table -->\n\n| second |\n\n<!-- end of table -->\nafter\n"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="no <!-- table -->"):
        write_between_marks(page, "| x |")


def test_the_page_keeps_the_rows_of_the_bar():
    names = ("C->B4 image->expression R@10%", "C->B4 10-gene lists->image R@10% (random)", "region macro-F1")
    assert all(in_docs(Row("quality", name, 0.1, "share", None, 9)) for name in names)
    assert not in_docs(Row("quality", "C->B4 image->expression R@10 (random)", 0.1, "share", None, 9))
