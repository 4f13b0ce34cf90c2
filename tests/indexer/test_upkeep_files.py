"""What upkeep leaves lying and what it reads: parts of slides no version has, vectors that verification streams."""

from datetime import timedelta

import numpy as np
import pytest

from indexer.index import Index
from indexer.progress import Silent
from indexer.store.location import AGGREGATES, locate
from indexer.store.tables import Store
from indexer.upkeep import maintenance
from indexer.upkeep.editing import delete_slides
from indexer.upkeep.maintenance import optimize_index
from indexer.verification import find_problems
from tests.indexer.tiny_index import add


@pytest.fixture
def folder(tmp_path):
    add(tmp_path / "index", "A", "B")
    return tmp_path / "index"


def test_optimize_removes_the_parts_of_slides_that_no_version_has(folder):
    slides = Index.open(folder).slides()
    files = {
        slide: f"{digest}.safetensors"
        for slide, digest in zip(slides["slide"].to_pylist(), slides["content_sha256"].to_pylist(), strict=True)
    }
    location = locate(folder)
    for name in (*files.values(), "0123.safetensors", "9.safetensors.part"):
        location.replace(f"{AGGREGATES}/{name}", b"parts")
    delete_slides(folder, ["A"])
    optimize_index(folder)  # the versions before are a moment old, and kept
    assert location.names(AGGREGATES) == sorted(files.values())
    optimize_index(folder, keep=timedelta(0))
    assert location.names(AGGREGATES) == [files["B"]]


def test_verification_finds_a_wrong_vector_without_reading_all_into_memory(folder, monkeypatch):
    add(folder, "C", sidecars=False)
    monkeypatch.setattr(Index, "stored_vectors", None)
    assert find_problems(Index.open(folder)) == []
    path = next((folder / "sidecar" / "image").glob("*/vectors.npy"))
    content = bytearray(path.read_bytes())
    content[-4:] = np.float32(0.5).tobytes()
    path.write_bytes(bytes(content))
    assert any("image sidecar does not hold" in problem for problem in find_problems(Index.open(folder)))


def test_a_vector_of_another_length_is_found(folder, monkeypatch):
    stream = Store.stream_slowly

    def longer(*arguments, **named):
        for vectors, ids in stream(*arguments, **named):
            yield 2 * vectors, ids

    index = Index.open(folder)
    index.vectors("image")
    monkeypatch.setattr(Store, "stream_slowly", longer)
    assert any("12 image vectors are not of norm 1" in problem for problem in find_problems(index))


def test_a_writer_that_leaves_many_files_says_what_folds_them(folder, monkeypatch, caplog):
    maintenance.refresh_after_writing(Index.open(folder), Silent())
    assert not caplog.records
    monkeypatch.setattr(maintenance, "MANY_FILES", 2)
    maintenance.refresh_after_writing(Index.open(folder), Silent())
    assert "2 files" in caplog.text
    assert "index optimize" in caplog.text
