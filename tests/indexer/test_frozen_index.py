"""Indexes written by earlier versions keep opening; each lies frozen under tests/data, named by its format."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from indexer.building.build import build_index
from indexer.index import Index
from indexer.schema import FORMAT_VERSION
from indexer.verification import find_problems
from tests.indexer.store_doubles import fake_space, write_source

FROZEN = sorted((Path(__file__).parents[1] / "data").glob("index_format_*"))


@pytest.fixture(params=FROZEN, ids=lambda folder: folder.name)
def frozen(request, tmp_path):
    """A copy, so that nothing a reader mends is written into the original."""
    return shutil.copytree(request.param, tmp_path / "index")


def test_the_present_format_is_frozen_too():
    assert f"index_format_{FORMAT_VERSION}" in {folder.name for folder in FROZEN}


def test_it_opens_with_the_rows_it_was_written_with(frozen):
    index = Index.open(frozen)
    assert find_problems(index) == []
    assert index.metadata().column("id").to_pylist()[7:12] == [
        "S1/spot/s0", "S1/spot/s1", "S1/spot/s2", "S1/spot/s3", "T1/slide/T1",
    ]  # fmt: skip
    assert index.slides().column("n_tiles").to_pylist() == [6, 0]
    image = index.vectors("image")
    assert float(np.sum(image.vectors)) == pytest.approx(4.358492, abs=1e-5)
    rows, scores = image.search(image.vectors[:1], k=1)
    assert (rows[0, 0], scores[0, 0]) == (0, pytest.approx(1))


def test_it_can_be_written_on(frozen, tmp_path):
    report = build_index(
        frozen,
        [write_source(tmp_path / "new", "U1", image=False)],
        fake_space(),
        tile_stride_um=200.0,
        thumbnails=False,
    )
    assert report.added == ("U1",)
    assert Index.open(frozen).slides().column("slide").to_pylist() == ["S1", "T1", "U1"]
