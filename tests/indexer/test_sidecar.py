"""The derived vector files: used only if they fit, made again if they do not, searched like brute force."""

import logging
import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.contracts import unit_rows
from indexer.building.build import build_index
from indexer.errors import StoreError, WhereError
from indexer.index import Index
from indexer.upkeep.maintenance import optimize_index
from indexer.vectors import ann
from indexer.vectors.ann import AnnIndex, kind_for
from indexer.vectors.selection import Selection
from indexer.vectors.vector_set import VectorSet
from tests.indexer.store_doubles import fake_space, write_source


@pytest.fixture
def folder(tmp_path):
    sources = [write_source(tmp_path / "src", name) for name in ("A1", "B1")]
    build_index(tmp_path / "idx", sources, fake_space(), tile_stride_um=120)
    return tmp_path / "idx"


def sidecar_of(folder, modality="image"):
    (path,) = (folder / "sidecar" / modality).iterdir()
    return path


def truth(folder, modality="image"):
    return Index.open(folder).stored_vectors(modality)


def test_vectors_are_mapped_from_the_sidecar(folder, caplog):
    found = Index.open(folder).vectors("image")
    rows, stored = truth(folder)
    assert isinstance(found.vectors, np.memmap)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_array_equal(found.vectors, stored)
    assert found.ann.n_rows == len(rows)
    assert not caplog.records


@pytest.mark.parametrize("name", ["vectors.npy", "rows.npy", "items.arrow", "row_ids.npy"])
@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_damaged_files_are_made_again(folder, caplog, name, damage):
    path = sidecar_of(folder) / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20])
    found = Index.open(folder).vectors("image")
    np.testing.assert_array_equal(found.vectors, truth(folder)[1])
    assert "built again" in caplog.text
    caplog.clear()
    assert Index.open(folder).vectors("image").ann.n_rows == len(found)
    assert not caplog.records


@pytest.mark.parametrize("text", ["", "{}", "\x00"])
def test_a_damaged_sidecar_card_is_made_again(folder, text):
    (sidecar_of(folder) / "sidecar.json").write_text(text)
    np.testing.assert_array_equal(Index.open(folder).vectors("image").vectors, truth(folder)[1])


def test_garbage_of_the_right_length_is_not_trusted(folder, caplog, monkeypatch):
    monkeypatch.setattr(ann, "EXACT_VALUES", 5)
    shutil.rmtree(folder / "sidecar")
    Index.open(folder).vectors("image")
    path = sidecar_of(folder) / "index.faiss"
    path.write_bytes(b"x" * path.stat().st_size)
    found = Index.open(folder).vectors("image")
    assert found.ann.n_rows == len(found)
    assert "cannot be read" in caplog.text


def test_a_reader_that_may_not_write_keeps_them_in_memory(folder, caplog, monkeypatch):
    shutil.rmtree(folder / "sidecar")

    make = Path.mkdir

    def refuse(path, *args, **kwargs):
        if "sidecar" in path.parts:
            raise PermissionError(13, "Permission denied")
        make(path, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", refuse)
    found = Index.open(folder).vectors("image")
    np.testing.assert_array_equal(found.vectors, truth(folder)[1])
    assert found.ann.n_rows == len(found)
    assert "kept in memory" in caplog.text
    assert not (folder / "sidecar").exists()


def test_rows_newer_than_the_sidecar_are_found(folder, tmp_path):
    kept = tmp_path / "kept"
    shutil.copytree(folder / "sidecar", kept)
    sources = [write_source(tmp_path / "src", name) for name in ("A1", "B1", "C1")]
    build_index(folder, sources, fake_space(), tile_stride_um=120)
    shutil.rmtree(folder / "sidecar")
    kept.rename(folder / "sidecar")  # as if the build had been killed before its sidecars
    index = Index.open(folder)
    found = index.vectors("image")
    rows, stored = truth(folder)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_array_equal(found.vectors, stored)
    assert found.ann.n_rows < len(found)
    slides = np.array(index.metadata()["slide"].to_pylist())
    newest = int(np.flatnonzero(slides[found.rows] == "C1")[3])
    assert found.search(stored[newest], 1).rows.tolist() == [[rows[newest]]]


def test_a_sidecar_of_replaced_rows_is_not_used(folder, tmp_path):
    kept = tmp_path / "kept"
    shutil.copytree(folder / "sidecar", kept)
    # The last slide is replaced by one with the same ids: only its content tells them apart.
    sources = [write_source(tmp_path / "src", "A1"), write_source(tmp_path / "src", "B1", seed=4)]
    build_index(folder, sources, fake_space(), tile_stride_um=120)
    shutil.rmtree(folder / "sidecar")
    kept.rename(folder / "sidecar")
    found = Index.open(folder).vectors("image")
    np.testing.assert_array_equal(found.vectors, truth(folder)[1])


def test_old_sidecars_stay_for_readers_until_optimize(folder, tmp_path):
    old = sidecar_of(folder)
    (folder / "sidecar" / "image" / ".dead.1.part").mkdir()
    build_index(folder, [write_source(tmp_path / "src", "C1")], fake_space(), tile_stride_um=120)
    names = {path.name for path in (folder / "sidecar" / "image").iterdir()}
    assert len(names) == 2
    assert old.name in names
    optimize_index(folder, keep=timedelta(0))
    assert sidecar_of(folder).name not in names


def test_where_selects_rows(folder):
    index = Index.open(folder)
    table = index.metadata().to_pandas()
    mask = index.filter_rows("slide = 'B1' AND kind IN ('spot', 'tile') AND x_px > 300")
    expected = (table["slide"] == "B1") & table["kind"].isin(["spot", "tile"]) & (table["x_px"] > 300)
    np.testing.assert_array_equal(mask, expected.to_numpy())
    assert 0 < mask.sum() < len(mask)


@pytest.mark.parametrize("where", ["slide = 'B1", "organism = 'human'", "", "1 +", "slide"])
def test_a_bad_where_is_refused(folder, where):
    with pytest.raises(WhereError):
        Index.open(folder).filter_rows(where)


def test_a_row_that_is_not_there_is_refused(folder):
    index = Index.open(folder)
    with pytest.raises(StoreError, match="does not exist"):
        index.thumbnails([len(index)])
    assert index.thumbnails([]) == []
    assert index.expression([]).shape == (0, len(index.genes))


def brute_force(found, query, k, allowed):
    scores = np.einsum("ij,j->i", np.asarray(found.vectors), query)
    order = [i for i in np.lexsort((np.arange(len(scores)), -scores)) if allowed is None or allowed[found.rows[i]]]
    return found.rows[order[:k]], scores[order[:k]]


def vector_set(n_items, dim, seed, *, share=0.8):
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(rng.random(n_items) < share).astype(np.int64)
    matrix = unit_rows(rng.normal(size=(len(rows), dim)).astype(np.float32))
    return VectorSet.over("image", rows, matrix, n_items)


@settings(max_examples=40, deadline=None)
@given(
    n_items=st.integers(0, 60),
    dim=st.integers(1, 9),
    k=st.integers(1, 80),
    seed=st.integers(0, 9),
    share=st.floats(0, 1),
    masked=st.booleans(),
)
def test_search_is_brute_force(n_items, dim, k, seed, share, masked):
    found = vector_set(n_items, dim, seed)
    rng = np.random.default_rng(seed + 1)
    allowed = rng.random(n_items) < share if masked else None
    queries = unit_rows(rng.normal(size=(3, dim)).astype(np.float32))
    answer = found.search(queries, k, allowed)
    for query, rows, scores in zip(queries, answer.rows, answer.scores, strict=True):
        expected = brute_force(found, query, k, allowed)
        np.testing.assert_allclose(scores, expected[1], atol=1e-6)
        if len(set(scores.tolist())) == len(scores):  # equal scores may stand for other rows
            np.testing.assert_array_equal(rows[:-1], expected[0][:-1])
        assert (np.sort(found.scores(query))[::-1][: len(scores)] >= scores - 1e-6).all()


@pytest.mark.parametrize("dim", [16, 128])
@pytest.mark.parametrize("share", [None, 0.5, 0.05, 0.0005])
def test_a_large_set_is_searched_by_faiss_with_nearly_full_recall(monkeypatch, dim, share):
    monkeypatch.setattr(ann, "EXACT_VALUES", 500 * dim)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, dim))
    matrix = unit_rows((centres[rng.integers(0, 40, 6000)] + 0.6 * rng.normal(size=(6000, dim))).astype(np.float32))
    lists = VectorSet.over("image", np.arange(5900), matrix[:5900], 5900)
    found = VectorSet("image", np.arange(6000), matrix[:5900], 6000, lambda: (lists.ann, lists.evidence), matrix[5900:])
    allowed = None if share is None else rng.random(6000) < share
    assert found.ann.kind == ("ivf_flat" if dim == 16 else "ivf_rabitq")
    assert found.strategy(allowed) == ("exact" if share == 0.0005 else "ann")
    queries = unit_rows(matrix[::300] + 0.05 * rng.normal(size=(20, dim)).astype(np.float32))
    answer = found.search(queries, 10, allowed)
    recalls = []
    for query, rows in zip(queries, answer.rows, strict=True):
        expected, _ = brute_force(found, query, 10, allowed)
        recalls.append(len(set(rows) & set(expected)) / len(expected))
        assert allowed is None or allowed[rows].all()
        assert len(set(rows.tolist())) == len(rows) == len(expected)
    assert np.mean(recalls) > (0.95 if found.strategy(allowed) == "ann" else 0.9999)


@pytest.mark.parametrize("dim", [12, 128])
def test_lists_survive_their_files_and_are_the_same_each_time(tmp_path, monkeypatch, dim):
    monkeypatch.setattr(ann, "EXACT_VALUES", 100)
    matrix = unit_rows(np.random.default_rng(0).normal(size=(300, dim)).astype(np.float32))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        AnnIndex.build(matrix).save(tmp_path / name)
    for file in ann.files_of(kind_for(300, dim)):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    loaded = AnnIndex.load(tmp_path / "a", kind_for(300, dim), (300, dim))
    every = np.arange(len(loaded.lists.sizes))[None]
    _, found = loaded.scan(
        matrix[:1], every, matrix[:1] @ loaded.lists.centroids.T, 5, Selection(np.ones(300, dtype=np.bool_))
    )
    assert found[0, 0] == 0
    assert loaded.lists.sizes.sum() == 300
    with pytest.raises(ValueError, match="expected 299 of"):
        AnnIndex.load(tmp_path / "a", kind_for(300, dim), (299, dim))


def test_kinds_by_size():
    sizes = [(0, 16), (20_000, 512), (20_001, 512), (640_000, 16), (640_001, 16)]
    assert [kind_for(*size) for size in sizes] == ["flat", "flat", "ivf_rabitq", "flat", "ivf_flat"]


def test_what_does_not_fit_is_refused():
    found = vector_set(30, 4, 0)
    with pytest.raises(StoreError, match=r"expected \(q, 4\)"):
        found.search(np.ones(5, np.float32), 3)
    with pytest.raises(StoreError, match=r"expected bool \(30,\)"):
        found.search(np.ones(4, np.float32), 3, np.ones(29, bool))
    with pytest.raises(StoreError, match="mask"):
        found.search(np.ones(4, np.float32), 3, np.ones(30, np.int64))


def test_nothing_is_printed_or_warned_on_the_way(folder, capfd):
    logging.getLogger("indexer").setLevel(logging.DEBUG)
    Index.open(folder).vectors("expression").search(np.ones(8, np.float32), 3)
    assert capfd.readouterr() == ("", "")
