"""Of every format: places without its files are refused in a sentence, and the page about formats has it."""

from pathlib import Path

import pytest

from indexer.errors import DataError
from indexer.formats import FORMATS, find_slides

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"


@pytest.mark.parametrize("name", FORMATS)
def test_places_without_slides_are_refused_and_named(tmp_path, name):
    (tmp_path / "notes.doc").write_text("nothing to read")
    for place in (tmp_path, tmp_path / "notes.doc", tmp_path / "missing"):
        with pytest.raises(DataError, match=r"expected ") as refused:
            find_slides(place, name)
        assert str(place) in str(refused.value)


def test_the_page_lists_every_format_and_no_other():
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    listed = [name for row in rows for name in row.replace("`", " ").replace(",", " ").split() if name != "--format"]
    assert sorted(listed) == sorted(FORMATS)
