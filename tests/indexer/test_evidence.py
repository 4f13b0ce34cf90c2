"""Searches over lists against exact ones: what is found with no knob touched, and what the bounds are made of."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.ann_data import FILTERS, K, generate
from encoders.contracts import unit_rows
from indexer.vectors import ann, probing
from indexer.vectors.ann import AnnIndex
from indexer.vectors.evidence import approach, measure, radii_of
from indexer.vectors.probing import Prober
from indexer.vectors.selection import Selection
from indexer.vectors.vector_set import VectorSet

N, DIM = 6_000, 128
_LISTS_TOGETHER = 0.01  # what estimates differ by with the lists that FAISS rounds together


@pytest.fixture(scope="module", params=[False, True], ids=["clusters", "another modality"])
def large(request, tmp_path_factory):
    data = generate(tmp_path_factory.mktemp("evidence"), 30_000, n_queries=40, flat=request.param)
    vectors = VectorSet.over("image", np.arange(30_000), np.asarray(data.vectors), 30_000)
    assert vectors.strategy() == "ann"
    return data, vectors


@pytest.mark.parametrize("name", FILTERS)
def test_recall_is_kept_under_every_filter_with_no_knob_touched(large, name):
    data, vectors = large
    shares = []
    for i, query in enumerate(data.queries):
        allowed = data.allowed(name, i)
        found = vectors.nearest(query, K, allowed)
        assert allowed is None or allowed[found.rows].all()
        assert found.scores == pytest.approx(data.vectors[found.rows] @ query, abs=1e-5)
        shares.append(len(set(found.rows.tolist()) & set(data.truth(name)[i].tolist())) / K)
    assert np.mean(shares) >= 0.99


@pytest.fixture(scope="module")
def built():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(60, DIM))
    shares = rng.dirichlet(np.full(60, 0.5))
    rows = centres[rng.choice(60, size=N, p=shares)] + 0.7 * rng.normal(size=(N, DIM))
    vectors = unit_rows(rows.astype(np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ann, "EXACT_VALUES", 1_000)
        lists = AnnIndex.build(vectors)
    return vectors, Prober(lists, vectors, measure(vectors, lists), radii_of(lists.lists))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    near=st.floats(0, 1),
    share=st.sampled_from([1.0, 0.5, 0.1, 0.02]),
    by_list=st.booleans(),
    k=st.sampled_from([1, 10, 40]),
)
def test_hits_are_rows_that_may_answer_with_the_scores_of_exact_search(built, seed, near, share, by_list, k):
    vectors, prober = built
    rng = np.random.default_rng(seed)
    noise = unit_rows(rng.normal(size=(1, DIM)).astype(np.float32))
    query = unit_rows(near * vectors[rng.integers(N)][None] + (1 - near) * noise)[0]
    of_lists = prober.ann.lists
    n_lists = len(of_lists.sizes)
    mask = (rng.random(n_lists) < share)[of_lists.list_of] if by_list else rng.random(N) < share
    selection = Selection(mask)
    rows, scores, trace = prober.search(query, k, selection)
    assert len(np.unique(rows)) == len(rows) >= min(k, selection.count)
    assert mask[rows].all()
    np.testing.assert_allclose(scores, vectors[rows] @ query, atol=1e-5)
    truth = np.sort(vectors[mask] @ query)[::-1][:k]
    best = np.sort(scores)[::-1][: len(truth)]
    assert (best <= truth + 1e-5).all()
    if trace.lists_probed == trace.lists_allowed and share == 0.02 and not by_list:
        np.testing.assert_allclose(best, truth, atol=1e-5)  # every row was compared, without codes
    nearest = np.flatnonzero(mask)[np.argsort(-(vectors[mask] @ query), kind="stable")[:k]]
    assert np.count_nonzero(np.isin(nearest, rows)) >= len(truth) // 2


def test_rows_of_lists_are_the_allowed_ones_of_those_lists(built):
    _, prober = built
    of_lists = prober.ann.lists
    n_lists, sizes = len(of_lists.sizes), of_lists.sizes
    rng = np.random.default_rng(2)
    whole = Selection(rng.random(N) < 0.4)
    gone = rng.permutation(N)[:500]
    for selection in (whole, whole.without(gone, (of_lists.list_of, sizes))):
        for lists in (rng.permutation(n_lists)[:3], np.sort(rng.permutation(n_lists)[: n_lists - 1])):
            rows = selection.in_lists(lists, of_lists.list_of, sizes)
            expected = np.flatnonzero(selection.mask & np.isin(of_lists.list_of, lists))
            np.testing.assert_array_equal(np.sort(rows), expected)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000), share=st.sampled_from([1.0, 0.4, 0.05]), in_a_row=st.booleans())
def test_a_scan_passes_over_what_is_left_out_of_a_selection(built, seed, share, in_a_row):
    _, prober = built
    of_lists = prober.ann.lists
    rng = np.random.default_rng(seed)
    whole = Selection(rng.random(N) < share)
    start, n = int(rng.integers(N - 1)), int(rng.integers(1, 200))
    gone = np.arange(start, min(N, start + n)) if in_a_row else rng.permutation(N)[:n]
    left = whole.without(gone, (of_lists.list_of, of_lists.sizes))
    some = np.unique(np.concatenate([gone, rng.integers(0, N, 100)])).tolist()
    if left.selector is not None:
        assert [left.selector.is_member(row) for row in some] == left.mask[some].tolist()
    np.testing.assert_array_equal(left.packed, np.packbits(left.mask, bitorder="little"))
    counts = left.list_counts(of_lists.list_of, of_lists.sizes)
    np.testing.assert_array_equal(counts, np.bincount(of_lists.list_of[left.mask], minlength=len(of_lists.sizes)))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([1.0, 0.3, 0.02]), depth=st.sampled_from([5, 60, 400]))
def test_several_cores_lack_no_estimate_above_what_they_say(built, monkeypatch, seed, share, depth):
    vectors, prober = built
    rng = np.random.default_rng(seed)
    selection = Selection(rng.random(N) < share)
    query = vectors[rng.integers(N)]
    lists = np.arange(len(prober.ann.lists.sizes))
    near = (lists, approach(prober.ann.lists, prober.radii, query).scores)
    every = prober.estimates(query, near, selection.count + 1, 1.0, selection)
    assert every.least == -np.inf
    assert len(every.rows) == selection.count
    with monkeypatch.context() as patch:
        patch.setattr(probing, "_CODES_OF_ONE_CORE", 0)
        patch.setattr(probing, "n_cores", lambda: 3)
        found = prober.estimates(query, near, depth, depth / selection.count, selection)
        again, _, _ = prober.search(query, 10, selection)
    by_row = dict(zip(every.rows.tolist(), every.estimates.tolist(), strict=True))
    there = [by_row[row] for row in found.rows.tolist()]
    np.testing.assert_allclose(found.estimates, there, atol=_LISTS_TOGETHER)
    above = every.rows[every.estimates > found.least + _LISTS_TOGETHER]
    assert np.isin(above, found.rows).all()
    assert selection.mask[found.rows].all()
    assert (np.diff(found.estimates) <= 0).all()
    assert len(found.rows) >= min(selection.count, int(0.4 * depth))
    alone, _, _ = prober.search(query, 10, selection)
    best = [rows[np.argsort(-(vectors[rows] @ query))[:10]] for rows in (again, alone)]
    assert np.isin(best[1], best[0]).mean() >= 0.8


def test_a_query_of_another_spread_is_judged_in_its_own_units(built):
    vectors, prober = built
    query = vectors[5]
    near = approach(prober.ann.lists, prober.radii, query)
    far = approach(prober.ann.lists, prober.radii, 0.2 * query)
    least = float(near.scores.max()) + 0.1
    np.testing.assert_allclose(near.behind(least), far.behind(0.2 * least), rtol=1e-3, atol=1e-3)


def test_a_wider_tolerance_reaches_no_further(built):
    _, prober = built
    tolerances = (0.3, 0.1, 0.03, 0.01, 0.002, 0.0)
    reaches = [
        prober.evidence.model_copy(update={"tolerance": one}).reach(
            np.array([0.5, 3.0, 9.0]), np.array([0.7, 3.0, 9.5])
        )
        for one in tolerances
    ]
    assert (np.diff(reaches, axis=0) >= 0).all()
    margins = np.array(prober.evidence.margins)
    assert (np.diff(margins, axis=1) <= 0).all()  # the nearer the nearest list, the further others may matter


def test_a_list_of_many_small_clusters_is_split():
    rng = np.random.default_rng(4)
    small = np.repeat(rng.normal(size=(400, DIM)), 4, axis=0)
    middle = 0.05 * rng.normal(size=(2_400, DIM)) + 0.2
    vectors = unit_rows(np.vstack([small + 0.02 * rng.normal(size=small.shape), middle]).astype(np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ann, "EXACT_VALUES", 1_000)
        sizes = AnnIndex.build(vectors).lists.sizes
    assert sizes.sum() == len(vectors)
    assert sizes.max() < 12 * sizes.mean()


def test_a_scan_that_is_not_deep_enough_is_followed_by_a_deeper_one():
    estimates = np.linspace(0.9, 0.8, 20, dtype=np.float32)  # several cores gave fewer than were asked for
    for to_go in (0.0, 0.01, 10.0):
        assert probing._deeper(estimates, to_go, 100) > 100


def test_where_no_row_may_answer_none_is_found(built):
    vectors, prober = built
    rows, scores, trace = prober.search(vectors[0], 10, Selection(np.zeros(N, dtype=np.bool_)))
    assert len(rows) == len(scores) == trace.lists_probed == 0
