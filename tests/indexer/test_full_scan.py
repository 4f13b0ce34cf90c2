"""Exact search by codes: it finds what comparing every row finds, also where codes say little."""

import numpy as np
import pytest

from encoders.contracts import unit_rows
from indexer.vectors import ann, full_scan
from indexer.vectors.code_errors import code_errors
from indexer.vectors.vector_set import VectorSet

N, DIM = 6_000, 128


def clusters(random, n_clusters=60, width=1.0):
    centres = unit_rows(random.normal(size=(n_clusters, DIM)).astype(np.float32))
    return unit_rows(centres[random.integers(0, n_clusters, N)] + random.normal(0, width / np.sqrt(DIM), (N, DIM)))


def one_dimension_outweighs(random):
    matrix = clusters(random)
    matrix[:, 3] += random.normal(0, 1, N)
    return unit_rows(matrix)


def few_numbers_are_not_zero(random):
    matrix = np.zeros((N, DIM))
    for column in random.integers(0, DIM, (4, N)):
        matrix[np.arange(N), column] += random.normal(1, 0.3, N)
    return unit_rows(matrix)


def copies_and_near_ties(random):
    matrix = np.repeat(clusters(random)[: N // 100], 100, axis=0)
    matrix[::3] += random.normal(0, 1e-5, matrix[::3].shape)
    return unit_rows(matrix)


def all_in_one_direction(random):
    return unit_rows(np.ones(DIM) + random.normal(0, 1e-3, (N, DIM)))


SHAPES = {
    shape.__name__: shape
    for shape in (
        clusters,
        one_dimension_outweighs,
        few_numbers_are_not_zero,
        copies_and_near_ties,
        all_in_one_direction,
    )
}


@pytest.fixture(scope="module", autouse=True)
def few_are_compared_one_by_one():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ann, "EXACT_VALUES", 500 * DIM)
        yield


@pytest.fixture(scope="module", params=SHAPES)
def vectors(request):
    matrix = SHAPES[request.param](np.random.default_rng(3)).astype(np.float32)
    return VectorSet.over("image", np.arange(N), matrix, N)


def masks():
    everyone = np.ones(N, dtype=bool)
    return [everyone, np.random.default_rng(5).random(N) < 0.6, np.arange(N) % 3000 < 1500]


def test_exact_is_as_if_every_row_had_been_compared(vectors):
    random = np.random.default_rng(8)
    own = vectors.base[random.integers(0, N, 4)]
    queries = unit_rows(np.vstack([own, own + random.normal(0, 0.1, own.shape), random.normal(size=(2, DIM))]))
    for query in queries.astype(np.float32):
        truth = vectors.base.astype(np.float64) @ query
        for mask in masks():
            for k in (1, 10, 200):
                found = vectors.nearest(query, k, mask, exact=True)
                best = np.sort(truth[mask])[::-1][:k]
                assert found.strategy == "exact"
                assert mask[found.rows].all()
                assert len(set(found.rows.tolist())) == k
                np.testing.assert_allclose(found.scores, best, atol=2e-6)
                np.testing.assert_allclose(truth[found.rows], best, atol=2e-6)


def test_ties_are_in_the_order_of_the_rows():
    matrix = np.repeat(clusters(np.random.default_rng(1))[: N // 40], 40, axis=0).astype(np.float32)
    found = VectorSet.over("image", np.arange(N), matrix, N)
    row = 40 * 77
    assert found.nearest(matrix[row], 25, exact=True).rows.tolist() == list(range(row, row + 25))


def test_few_rows_are_compared_and_rows_that_came_later_too():
    matrix = clusters(np.random.default_rng(2)).astype(np.float32)
    whole = VectorSet.over("image", np.arange(N), matrix, N)
    trace = whole.nearest(matrix[9], 10, exact=True).trace
    assert 10 <= trace.n_compared < N / 4
    assert "standard deviations" in trace.stopped
    late = matrix[9][None]
    grown = VectorSet("image", np.arange(N + 1), matrix, N + 1, lambda: (whole.ann, whole.evidence), late)
    assert set(grown.nearest(matrix[9], 2, exact=True).rows) == {9, N}


def test_the_deviation_of_a_code_is_that_of_its_errors():
    matrix = clusters(np.random.default_rng(4)).astype(np.float32)
    index = VectorSet.over("image", np.arange(N), matrix, N).ann
    lists = index.lists
    residuals = matrix - lists.centroids[lists.list_of]
    signs = np.where(residuals > 0, 1, -1)
    length = np.einsum("ij,ij->i", residuals, residuals) / np.einsum("ij,ij->i", residuals, signs)
    left = np.linalg.norm(residuals - length[:, None] * signs, axis=1)
    largest = np.zeros(len(lists.sizes))
    np.maximum.at(largest, lists.list_of, left)
    several = lists.radii > 1e-3  # FAISS does otherwise with a row that is its own centroid
    np.testing.assert_allclose(code_errors(index)[several], largest[several], atol=1e-3)
    assert (code_errors(index) >= largest - 1e-3).all()


def test_without_the_numbers_of_the_codes_every_row_is_compared(monkeypatch):
    matrix = clusters(np.random.default_rng(6)).astype(np.float32)
    found = VectorSet.over("image", np.arange(N), matrix, N)
    monkeypatch.setattr(full_scan, "code_errors", lambda index: code_errors(ann.AnnIndex("flat", (N, DIM))))
    assert found.nearest(matrix[0], 10, exact=True).trace.n_compared == N
