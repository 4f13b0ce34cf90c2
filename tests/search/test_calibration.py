"""p-values against the space's null, and false-discovery rates over all that was compared."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.space import Calibration
from search import GenesQuery, ItemQuery
from search.retrieval.calibration import benjamini_hochberg, significance, tail_probabilities


def null_of(scores, key="image->expression"):
    probabilities = tuple(np.linspace(0, 1, 201).tolist())
    quantiles = tuple(np.quantile(scores, probabilities).tolist())
    return Calibration(n_pairs=len(scores), probabilities=probabilities, quantiles={key: quantiles})


def test_p_values_are_uniform_on_the_null():
    random = np.random.default_rng(1)
    null = null_of(random.normal(0, 0.1, 20_000))
    p = np.sort(tail_probabilities(random.normal(0, 0.1, 10_000).astype(np.float32), null, "image->expression"))
    assert np.abs(p - np.arange(1, 10_001) / 10_000).max() < 0.02


def test_p_values_are_never_zero_and_fall_with_the_score():
    null = null_of(np.linspace(-0.5, 0.5, 1_000))
    p = tail_probabilities(np.array([-1, -0.5, 0, 0.4, 0.5, 1], dtype=np.float32), null, "image->expression")
    assert (np.diff(p) <= 0).all()
    assert p[0] == 1
    assert p[-1] == pytest.approx(1 / 1_001)


def test_benjamini_hochberg_against_the_textbook():
    p = [0.01, 0.04, 0.03, 0.005, 0.8]
    assert benjamini_hochberg(np.array(p)) == pytest.approx([0.025, 0.05, 0.05, 0.025, 0.8])


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=40), st.integers(0, 1000))
def test_rates_are_bounded_monotone_and_grow_with_the_family(p_values, more):
    p = np.array(p_values)
    rates, larger = benjamini_hochberg(p), benjamini_hochberg(p, len(p) + more)
    assert (rates <= 1).all()
    assert (rates >= p * (1 - 1e-6)).all()
    assert (np.diff(rates[np.argsort(p)]) >= 0).all()
    assert (larger >= rates).all()


def test_the_best_of_many_mismatches_is_no_discovery():
    random = np.random.default_rng(2)
    null = null_of(random.normal(0, 0.1, 50_000))
    scores = -np.sort(-random.normal(0, 0.1, 5_000).astype(np.float32))
    worth = significance(scores, len(scores), null, "image->expression")
    assert worth.p_values[:10].max() < 0.01  # each looks good alone
    assert worth.fdr.min() > 0.1
    assert "stands out" in worth.notes[0]


def test_scores_below_the_null_resemble_nothing():
    null = null_of(np.random.default_rng(3).normal(0.5, 0.1, 5_000))
    worth = significance(np.full(50, 0.4, dtype=np.float32), 50, null, "image->expression")
    assert worth.notes[0].startswith("Nothing in this index resembles the query")


def test_true_matches_stand_out(engine):
    result = engine.search(ItemQuery("A1/spot/s0"), k=5)
    hits = result.to_pandas()
    assert (hits["fdr"] < 0.1).all()
    assert (hits["p_value"] >= 1 / 1_000 - 1e-9).all()
    assert not any("resembles" in note for note in result.notes)


def test_gene_lists_are_off_the_null_and_carry_no_p_value(engine):
    result = engine.search(GenesQuery("TUM1"), k=3)
    assert result.table.column("p_value").null_count == 3
    assert any("short gene lists" in note for note in result.notes)
