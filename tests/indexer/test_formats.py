"""Of every format: places without its files are refused in a sentence, and the page about formats has it."""

from pathlib import Path

import pytest

from indexer.errors import DataError
from indexer.formats import FORMATS, find_slides
from indexer.genes.names import name_genes
from indexer.genes.shipped import shipped_tables

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"


@pytest.mark.parametrize("name", FORMATS)
def test_places_without_slides_are_refused_and_named(tmp_path, name):
    (tmp_path / "notes.doc").write_text("nothing to read")
    for place in (tmp_path, tmp_path / "notes.doc", tmp_path / "missing"):
        with pytest.raises(DataError, match=r"expected ") as refused:
            find_slides(place, name)
        assert str(place) in str(refused.value)


def test_the_page_lists_every_format_and_no_other():
    rows = [line.split("|")[1] for line in PAGE.read_text().split("\n## ")[0].splitlines() if line.startswith("| `")]
    listed = [name for row in rows for name in row.replace("`", " ").replace(",", " ").split() if name != "--format"]
    assert sorted(listed) == sorted(FORMATS)


def test_the_page_says_what_becomes_of_gene_names():
    after = PAGE.read_text().split("| a file has |")[1]
    rows = [line.split("|")[1:3] for line in after.splitlines()[2:] if line.startswith("| `")][:6]
    given, expected = (
        [name.strip("` ") for cell in column for name in cell.split(",")] for column in zip(*rows, strict=True)
    )
    tables = shipped_tables().spelt_as(["GLTSCR2", "SEPTIN2"])
    for written, name in zip(given, expected, strict=True):
        beside = ["Erbb2", "Vim", "Krt19"] if written.startswith(("ENSMUS", "Cd8")) else ["TBCE", "VIM", "KRT19"]
        assert name_genes([written, *beside], None, tables)[0][0] == name
