"""Plans: exact where few may answer, approximate beyond, and the same order from both."""

from types import SimpleNamespace

import numpy as np
import pytest

from encoders.contracts import unit_rows
from indexer.vectors import ann
from indexer.vectors.vector_set import VectorSet
from search.retrieval.plan import score

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


def test_rows_that_are_gone_are_not_found_in_the_lists(catalogue):
    whole = catalogue.vector_set
    gone = np.arange(0, N, 3)
    item_of = np.where(np.isin(np.arange(N), gone), -1, np.cumsum(~np.isin(np.arange(N), gone)) - 1)
    kept = np.flatnonzero(item_of >= 0)
    late = unit_rows(np.random.default_rng(1).normal(size=(5_000, DIM)).astype(np.float32))
    n_items = len(kept) + len(late)
    found = VectorSet(
        "image",
        np.concatenate([item_of, len(kept) + np.arange(len(late))]),
        whole.base,
        n_items,
        lambda: (whole.ann, whole.evidence),
        late,
    )
    now = np.vstack([whole.base[kept], late])
    np.testing.assert_array_equal(found.vectors, now)
    np.testing.assert_array_equal(found.rows, np.arange(n_items))
    shares = []
    for query in np.vstack([whole.base[:30:2], late[:15]]):
        answer = found.nearest(query, 10)
        assert answer.strategy == "ann"
        best = np.argsort(-(now @ query), kind="stable")[:10]
        shares.append(len(np.intersect1d(answer.rows, best)) / 10)
        assert answer.scores == pytest.approx(now[answer.rows] @ query, abs=1e-6)
    assert np.mean(shares) >= 0.97


def test_scores_do_not_depend_on_the_plan(catalogue):
    query = catalogue.vector_set.vectors[11]
    by_lists = catalogue.vector_set.nearest(query, 10)
    by_hand = catalogue.vector_set.nearest(query, 10, exact=True)
    assert (by_lists.strategy, by_hand.strategy) == ("ann", "exact")
    both = np.isin(by_lists.rows, by_hand.rows)
    assert both.mean() >= 0.9
    known = dict(zip(by_hand.rows.tolist(), by_hand.scores.tolist(), strict=True))
    assert [known[row] for row in by_lists.rows[both].tolist()] == pytest.approx(by_lists.scores[both], abs=1e-6)


def test_many_queries_at_once_are_answered_as_each_by_itself(catalogue):
    vectors = catalogue.vector_set
    allowed = everything(catalogue)
    allowed[1::8] = False
    far = unit_rows(np.random.default_rng(3).normal(size=(40, DIM)).astype(np.float32))
    queries = np.vstack([vectors.vectors[:300:3], far])  # those far from all rows need many lists
    together = vectors.search(queries, 10, allowed)
    shares = []
    for query, rows, scores in zip(queries, together.rows, together.scores, strict=True):
        assert allowed[rows].all()
        assert (np.diff(scores) <= 0).all()
        best, _ = exactly(catalogue, query, allowed)
        shares.append(len(np.intersect1d(rows, best[:10])) / 10)
    assert np.mean(shares) >= 0.97
    by_itself = vectors.nearest(queries[0], 10, allowed)
    assert together.rows[0].tolist() == by_itself.rows.tolist()
    assert together.scores[0] == pytest.approx(by_itself.scores, abs=1e-6)
