"""Plans: exact where few may answer, approximate beyond, and the same order from both."""

from types import SimpleNamespace

import numpy as np
import pytest

from encoders.contracts import unit_rows
from indexer import ann
from indexer.vectors import VectorSet
from search.plan import score

N, DIM = 24_000, 16


@pytest.fixture(scope="module", autouse=True)
def few_are_compared_one_by_one():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ann, "EXACT_VALUES", 20_000 * DIM)
        yield


@pytest.fixture(scope="module")
def catalogue():
    random = np.random.default_rng(0)
    centres = unit_rows(random.normal(size=(50, DIM)).astype(np.float32))
    vectors = unit_rows(centres[random.integers(0, 50, N)] + random.normal(0, 0.3, (N, DIM)).astype(np.float32))
    rows = np.arange(N) * 2 + 1  # every other row of the index has no vector here
    vector_set = VectorSet.over("image", rows, vectors, 2 * N + 1)
    return SimpleNamespace(index=SimpleNamespace(vectors=lambda _modality: vector_set), vector_set=vector_set)


def exactly(catalogue, query, allowed):
    vectors = catalogue.vector_set
    kept = np.flatnonzero(allowed[vectors.rows])
    scores = vectors.vectors[kept] @ query
    order = np.argsort(-scores, kind="stable")
    return vectors.rows[kept][order], scores[order]


def everything(catalogue):
    allowed = np.zeros(2 * N + 1, dtype=bool)
    allowed[catalogue.vector_set.rows] = True
    return allowed


def test_a_narrow_filter_is_answered_exactly(catalogue):
    allowed = everything(catalogue)
    allowed[5_000:] = False
    query = catalogue.vector_set.vectors[7]
    found = score(catalogue, query, "image", allowed, k=10)
    rows, scores = exactly(catalogue, query, allowed)
    assert found.strategy == "exact"
    assert found.n_allowed == allowed.sum() == 2_500
    assert len(found.rows) == 1_000  # the best of them
    assert found.scores == pytest.approx(scores[:1_000], abs=1e-6)
    assert found.rows[0] == rows[0] == 15


def test_a_wide_search_is_approximate_and_nearly_right(catalogue):
    allowed = everything(catalogue)
    recall = []
    for place in range(0, 200, 10):
        query = catalogue.vector_set.vectors[place]
        found = score(catalogue, query, "image", allowed, k=10)
        assert found.strategy == "ann"
        assert found.n_allowed == N
        assert (np.diff(found.scores) <= 0).all()
        recall.append(len(set(found.rows[:10]) & set(exactly(catalogue, query, allowed)[0][:10])) / 10)
    assert np.mean(recall) >= 0.95


def test_grouping_fetches_more(catalogue):
    query = catalogue.vector_set.vectors[0]
    few = score(catalogue, query, "image", everything(catalogue), k=100)
    many = score(catalogue, query, "image", everything(catalogue), k=100, grouped=True)
    assert len(many.rows) > len(few.rows)


def test_nothing_allowed_is_nothing_found(catalogue):
    found = score(catalogue, catalogue.vector_set.vectors[0], "image", np.zeros(2 * N + 1, dtype=bool), k=5)
    assert len(found.rows) == 0
    assert found.strategy == "exact"
