"""Lists: what rows lie in them, how they are coded, and what is measured on them."""

import faiss
import numpy as np
import pytest

from encoders.contracts import unit_rows
from indexer.vectors import coding, rounded
from indexer.vectors.ann import AnnIndex
from indexer.vectors.exact import exact_tops
from indexer.vectors.lists import assign_rows, train_lists

N, DIM = 2_000, 128


@pytest.fixture(scope="module")
def vectors():
    random = np.random.default_rng(0)
    centres = random.normal(size=(60, DIM))
    points = centres[random.integers(0, 60, N)] + random.normal(0, 0.6, (N, DIM))
    points[:30] = -points[30:60]  # far from every list
    found = unit_rows(points.astype(np.float32))
    found.setflags(write=False)
    return found


@pytest.fixture
def bfloat16(monkeypatch):
    def use(is_used):
        monkeypatch.setattr(rounded, "_WORTH", 0)
        monkeypatch.setattr(rounded, "multiplies_bfloat16", lambda: is_used)

    return use


@pytest.fixture(scope="module")
def trained(vectors):
    return train_lists(vectors, 64)


@pytest.mark.parametrize("is_used", [True, False])
def test_rows_lie_in_the_nearest_list_but_for_rounding(vectors, trained, bfloat16, is_used):
    bfloat16(is_used)
    reduced, basis = trained
    list_of = assign_rows(vectors, reduced, basis)
    places = vectors @ basis.T
    squares = np.square(places[:, None] - reduced[None]).sum(axis=2)
    own = squares[np.arange(N), list_of]
    assert (own <= squares.min(axis=1) + (0.02 if is_used else 1e-5)).all()
    assert (list_of == squares.argmin(axis=1)).mean() > (0.95 if is_used else 0.999)


def test_centroids_are_as_near_as_those_of_kmeans_of_faiss(vectors, trained):
    reduced, basis = trained
    places = np.ascontiguousarray(vectors @ basis.T)
    other = faiss.Kmeans(DIM, len(reduced), niter=20, seed=1)
    other.train(places)
    ours, theirs = (
        np.square(places[:, None] - some[None]).sum(axis=2).min(axis=1).mean() for some in (reduced, other.centroids)
    )
    assert ours < 1.05 * theirs


def test_few_rows_and_copies_have_lists():
    rows = np.repeat(unit_rows(np.random.default_rng(0).normal(size=(3, DIM)).astype(np.float32)), 20, axis=0)
    reduced, basis = train_lists(rows, 8)
    assert np.isfinite(reduced).all()
    assert (np.square(rows @ basis.T - reduced[assign_rows(rows, reduced, basis)]).sum(axis=1) < 1e-4).all()


@pytest.mark.parametrize("dim", [128, 136, 200])
def test_codes_are_those_of_faiss(vectors, dim):
    rows = unit_rows(np.hstack([vectors, vectors])[:700, :dim])
    rows[3] = rows[40]  # copies, and a row that is its own centroid
    centroids = np.ascontiguousarray(np.vstack([rows[:5] * 0.5, rows[40:41], rows[600:604] * 0.9]))
    list_of = np.argmax(rows @ centroids.T - np.square(centroids).sum(axis=1) / 2, axis=1).astype(np.int32)
    assert coding.codes_like_faiss(rows, centroids, list_of)
    ours, squares, owned = coding.code_index(rows, centroids, list_of)
    theirs, more = coding.faiss_index(rows, centroids, list_of)
    assert all(coding._are_alike(ours, theirs, number) for number in range(len(centroids)))
    np.testing.assert_allclose(squares, np.square(rows - centroids[list_of]).sum(axis=1), atol=1e-5)
    ours.nprobe = theirs.nprobe = len(centroids)
    (scores, found), (their_scores, their_found) = (index.search(rows[:20], 10) for index in (ours, theirs))
    np.testing.assert_allclose(scores, their_scores, atol=1e-4)
    assert (found == their_found).mean() > 0.98  # but for near ties
    del owned, more


def test_another_format_of_codes_is_left_to_faiss_and_said(vectors, trained, monkeypatch, caplog):
    reduced, basis = trained
    centroids = np.ascontiguousarray(reduced @ basis)
    list_of = assign_rows(vectors, reduced, basis)
    monkeypatch.setattr(coding, "_ORDER", np.arange(16))
    assert not coding.codes_like_faiss(vectors, centroids, list_of)
    index, squares, owned = coding.code_index(vectors, centroids, list_of)
    assert "it codes by itself" in caplog.text
    theirs, more = coding.faiss_index(vectors, centroids, list_of)
    assert all(coding._are_alike(index, theirs, number) for number in range(len(centroids)))
    np.testing.assert_allclose(squares, np.square(vectors - centroids[list_of]).sum(axis=1), atol=1e-5)
    del owned, more


def test_an_index_of_a_dimension_that_is_no_multiple_of_eight_is_coded_by_faiss(vectors, monkeypatch):
    monkeypatch.setattr("indexer.vectors.ann.EXACT_VALUES", 1_000)
    rows = unit_rows(np.hstack([vectors, vectors])[:600, :132])
    index = AnnIndex.build(rows)
    assert (index.kind, index.lists.sizes.sum()) == ("ivf_rabitq", 600)


@pytest.mark.parametrize("is_used", [True, False])
def test_nearest_rows_of_subsets_are_those_of_plain_products(vectors, bfloat16, is_used):
    bfloat16(is_used)
    subsets = [None, np.arange(0, N, 7), np.arange(1_000, 1_008)]
    tops = exact_tops(vectors, vectors[::100], 10, subsets)
    for its, (rows, scores) in zip(subsets, tops, strict=True):
        found = vectors[::100] @ vectors.T
        if its is not None:
            found[:, np.setdiff1d(np.arange(N), its)] = -np.inf
        best = np.sort(found, axis=1)[:, ::-1][:, : rows.shape[1]]
        np.testing.assert_allclose(scores, best, atol=1e-6)
        np.testing.assert_allclose(np.take_along_axis(found, rows, 1), best, atol=1e-6)
