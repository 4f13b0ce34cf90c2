"""Many queries at once: each is answered as by itself, under any filter, with rows of its own left out."""

import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.contracts import unit_rows
from indexer.vectors import ann, batching, products, rounded
from indexer.vectors.vector_set import VectorSet

N, LATE, DIM = 6_000, 200, 128


@pytest.fixture(scope="module", autouse=True)
def few_are_compared_one_by_one():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ann, "EXACT_VALUES", 500 * DIM)
        patch.setattr(batching, "_AT_ONCE", 16)
        patch.setattr(batching, "_FEWEST_FOR_PRODUCTS", 2)
        yield


@pytest.fixture(scope="module")
def vectors():
    """Vectors in clusters, of which 100 rows are gone and 200 came later."""
    random = np.random.default_rng(0)
    centres = unit_rows(random.normal(size=(60, DIM)).astype(np.float32))
    of = random.integers(0, 60, N + LATE)
    matrix = unit_rows((centres[of] + random.normal(0, 0.08, (N + LATE, DIM))).astype(np.float32))
    base = np.ascontiguousarray(matrix[:N])
    whole = VectorSet.over("image", np.arange(N), base, N)
    alive = np.arange(N) % 60 != 7
    item_of = np.concatenate([np.where(alive, np.cumsum(alive) - 1, -1), alive.sum() + np.arange(LATE)])
    n_items = int(item_of.max()) + 1
    return VectorSet("image", item_of, base, n_items, lambda: (whole.ann, whole.evidence), matrix[N:])


def truth(vectors, query, k, mask, gone):
    left = mask.copy()
    left[gone] = False
    rows = np.flatnonzero(left)
    scores = vectors.vectors[rows].astype(np.float64) @ query
    return np.sort(scores)[::-1][:k]


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    share=st.sampled_from([1.0, 0.7, 0.02]),
    k=st.sampled_from([1, 10, 30]),
    n_queries=st.integers(2, 40),
    exact=st.booleans(),
)
def test_many_are_answered_as_one_by_one(vectors, seed, share, k, n_queries, exact):
    random = np.random.default_rng(seed)
    mask = random.random(vectors.n_items) < share
    own = random.integers(0, vectors.n_items, n_queries)
    queries = np.stack([vectors.vector_of(row) for row in own])
    queries[::3] = unit_rows(queries[::3] + random.normal(0, 0.1, queries[::3].shape).astype(np.float32))
    gone = [np.arange(row, min(row + 1 + row % 300, vectors.n_items)) for row in own]
    found = vectors.search(queries, k, mask, exact=exact, without=gone)
    missed = 0
    for i, query in enumerate(queries):
        best = truth(vectors, query, k, mask, gone[i])
        rows, scores = found.rows[i][: len(best)], found.scores[i][: len(best)]
        assert mask[rows].all()
        assert not np.isin(rows, gone[i]).any()
        assert len(np.unique(rows)) == len(best)
        assert (found.rows[i][len(best) :] == -1).all()
        np.testing.assert_allclose(vectors.vectors[rows] @ query, scores, atol=1e-6)
        missed += int((np.abs(best[:, None] - scores).min(axis=1) > 1e-5).sum()) if len(best) else 0
    assert missed <= (0 if exact else 2 + 0.02 * k * n_queries)


def test_a_batch_finds_what_single_searches_find(vectors):
    queries = vectors.vectors[::61]
    mask = np.arange(vectors.n_items) % 3 > 0
    gone = [np.arange(61 * i, 61 * i + 40) for i in range(len(queries))]
    found = vectors.search(queries, 10, mask, without=gone)
    same = 0
    for i, query in enumerate(queries):
        selection = vectors.select(mask).without(np.sort(vectors.places_of(gone[i])), vectors.list_places)
        same += vectors.nearest(query, 10, selection).rows.tolist() == found.rows[i].tolist()
    assert same >= 0.95 * len(queries)


@pytest.mark.parametrize("imports", [True, False])
def test_rough_products_rule_out_no_hit(vectors, monkeypatch, imports):
    monkeypatch.setattr(rounded, "_WORTH", 0)
    monkeypatch.setattr(products, "_FEWEST_PENDING", 100)
    monkeypatch.setattr(rounded, "multiplies_bfloat16", lambda: imports)
    threads = torch.get_num_threads()
    random = np.random.default_rng(1)
    base = np.vstack([vectors.base[:2_000], vectors.base[:700], vectors.base[:700] + np.float32(1e-5)])  # near ties
    queries = unit_rows(base[::300] + random.normal(0, 0.02, (len(base[::300]), DIM)).astype(np.float32))
    base.setflags(write=False)
    gone = [np.unique([5, 9, 300 * i]) for i in range(len(queries))]
    for share in (1.0, 0.4, 0.8):
        places = None if share == 1 else np.flatnonzero(random.random(len(base)) < share)
        rows, scores = products.nearest_of_all(base, queries, 30, places=places, gone=gone)
        for i, query in enumerate(queries):
            its = np.setdiff1d(np.arange(len(base)) if places is None else places, gone[i])
            best = np.sort(base[its] @ query)[::-1][:30]
            np.testing.assert_allclose(scores[i], best, atol=1e-6)
            assert np.isin(rows[i], its).all()
            assert len(np.unique(rows[i])) == 30
    assert torch.get_num_threads() == threads


def test_no_product_is_moved_further_than_rounding_may_move_it():
    worst = np.zeros(256)
    worst[:253] = (1 + 2**-8) / 16  # half way between two numbers of bfloat16
    worst[253] = np.sqrt(1 - worst @ worst)
    random = unit_rows(np.random.default_rng(2).normal(size=(40, 256)).astype(np.float32))
    rows = np.vstack([worst.astype(np.float32), random, -random, unit_rows(random + random[::-1])])
    rough = torch.from_numpy(rows).bfloat16()
    true, found = rows.astype(np.float64) @ rows.T, torch.mm(rough, rough.T).float().numpy()
    errors = rounded.rounding_errors(rows, rough.float().numpy())
    assert true[0, 0] - (rough[0].double() @ rough[0].double()).item() > 2**-7.1
    for its, products_of in zip(true.astype(np.float32), found, strict=True):
        assert (products_of >= rounded.least_rounded(its, errors)).all()
    assert rounded.least_rounded(np.float32([np.inf, -np.inf]), np.float32([0, 0])).tolist() == [np.inf, -np.inf]


def test_equal_scores_are_in_row_order_and_lacking_rows_are_said(vectors):
    rows, scores = batching.top(np.array([[7, 3, -1, 5, 1]]), np.array([[0.5, 0.5, 0.9, 0.5, 0.1]], np.float32), 2)
    assert rows.tolist() == [[3, 5]]
    rows, scores = batching.top(np.array([[4, -1]]), np.array([[0.5, 0.9]], np.float32), 3)
    assert (rows.tolist(), scores[0, 1:].tolist()) == ([[4, -1, -1]], [-np.inf, -np.inf])
    twice = np.repeat(vectors.base[:20], 2, axis=0)
    rows, _ = products.nearest_of_all(twice, vectors.base[:20], 2)
    assert rows.tolist() == [[2 * i, 2 * i + 1] for i in range(20)]


def test_pytorch_is_not_imported_for_little(monkeypatch):
    monkeypatch.setattr(rounded, "multiplies_bfloat16", lambda: True)
    monkeypatch.delitem(sys.modules, "torch")
    with products._multiplier(10**8) as (multiply, n_threads):
        assert (multiply, n_threads) == (products._whole, 1)


def test_a_batch_of_which_every_query_wants_a_deeper_scan_than_has_room_is_answered(vectors, monkeypatch):
    queries = vectors.vectors[::301]
    alone = vectors.search(queries, 10)
    monkeypatch.setattr(batching, "_CANDIDATES_AT_ONCE", 1)
    monkeypatch.setattr(batching._Batch, "_scan", lambda self, its, take, depth, *, is_first: np.ones(len(its), bool))
    found = vectors.search(queries, 10)
    assert (found.scores >= alone.scores - 1e-5).mean() > 0.98
