"""Vectors kept aside while a new index is filled: its sidecar is made of them, and only where they are the table's."""

import errno
from pathlib import Path

import numpy as np
import pytest

from encoders.given_space import given_space
from indexer.building.given_vectors import GivenVectors, index_vectors
from indexer.index import Index
from indexer.slides import SlideFacts
from indexer.store.tables import Store
from indexer.vectors.spill import Spill, spilling

DIM = 16


def _slide(name: str, seed: int, n: int = 40, modality: str = "image") -> GivenVectors:
    facts = SlideFacts(
        slide=name,
        patient=name,
        cohort="generated",
        organ="none",
        diagnosis="none",
        technology="none",
        species="none",
        licence="CC0-1.0",
        citation="generated",
        generated=True,
    )
    vectors = np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32)
    kind = "tile" if modality == "image" else "transcriptome"
    return GivenVectors(facts, [str(i) for i in range(n)], vectors, kind, modality)  # type: ignore[arg-type]


def _filled(folder: Path, slides: list[GivenVectors]) -> Index:
    return index_vectors(folder, slides, given_space("given", DIM).card, rows_per_commit=50)


def _no_stream(*_: object) -> None:
    raise AssertionError("vectors were read back from the table")


def test_vectors_of_a_new_index_are_not_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Store, "stream", _no_stream)
        index = _filled(tmp_path / "index", [_slide("a", 1), _slide("b", 2, modality="expression"), _slide("c", 3)])
        found = {side: index.vectors(side) for side in ("image", "expression")}
    assert [len(one) for one in found.values()] == [82, 41]
    for side, one in found.items():
        rows, vectors = index.stored_vectors(side)
        assert np.array_equal(one.rows, rows)
        assert np.array_equal(one.base, vectors)
    assert not list((tmp_path / "index").rglob("*.part"))


def test_a_slide_given_twice_is_read_from_the_table(tmp_path: Path) -> None:
    index = _filled(tmp_path, [_slide("a", 1), _slide("b", 2), _slide("c", 3), _slide("a", 4)])
    rows, vectors = index.stored_vectors("image")
    assert len(rows) == 3 * 41
    assert np.array_equal(index.vectors("image").rows, rows)
    assert np.array_equal(index.vectors("image").base, vectors)


def test_more_rows_of_an_index_are_not_kept_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _filled(tmp_path, [_slide("a", 1)])
    monkeypatch.setattr(Spill, "add", _no_stream)
    index = _filled(tmp_path, [_slide("b", 2)])
    rows, vectors = index.stored_vectors("image")
    assert np.array_equal(index.vectors("image").vectors, vectors)
    assert np.array_equal(index.vectors("image").rows, rows)


def test_a_disk_that_takes_no_more_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Spill, "_add", full)
    index = _filled(tmp_path, [_slide("a", 1), _slide("b", 2)])
    assert "No space left" in caplog.text
    assert np.array_equal(index.vectors("image").base, index.stored_vectors("image")[1])


def test_a_folder_that_cannot_be_written_gives_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with spilling(tmp_path / "file" / "below", DIM) as spill:
        assert spill is None
    assert "cannot be kept aside" in caplog.text
