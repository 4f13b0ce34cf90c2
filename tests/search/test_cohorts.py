"""Nearest cohorts: fractions, and tests whose unit is the patient."""

import itertools
import json

import numpy as np
import pytest

from search import GenesQuery, ItemQuery, SlideQuery
from search.errors import QueryError
from search.groups.permutation import label_permutation, sign_flip

TUMOUR_SPOT = "A1/spot/s0"


def test_a_tumour_spot_is_nearest_to_the_cohort_with_tumours(engine):
    found = engine.cohorts(ItemQuery(TUMOUR_SPOT), by="cohort", k=20)
    best = found.to_pandas().iloc[0]
    assert best["group"] == "one"
    assert best["n_hits"] == 20
    assert best["base_fraction"] == pytest.approx(48 / 112)  # patient A's 16 spots are left out
    assert best["enrichment"] == pytest.approx(112 / 48)
    assert best["patients_in_index"] == 3
    assert best["p_value"] == pytest.approx(1 / 35)  # one arrangement of 3 among 7 patients holds all hits
    assert found.test == "permutation over patients"
    assert json.dumps(found.to_dict())


def test_a_hundred_hits_of_one_patient_are_one_observation():
    hits, member = np.array([100, 0, 0, 0]), np.array([True, False, False, False])
    assert label_permutation(hits, member) == pytest.approx(0.25)


def test_permutation_agrees_with_enumeration_and_with_itself():
    random = np.random.default_rng(0)
    hits = random.integers(0, 30, 25)
    member = np.arange(25) < 12
    sums = [hits[random.permutation(25)[:12]].sum() for _ in range(20_000)]
    drawn = label_permutation(hits, member)  # 5.2 million arrangements: drawn, not enumerated
    assert drawn == pytest.approx(np.mean(np.array(sums) >= hits[member].sum()), abs=0.02)
    assert drawn == label_permutation(hits, member)
    few = hits[:8]
    expected = np.mean([few[list(c)].sum() >= few[:3].sum() for c in itertools.combinations(range(8), 3)])
    assert label_permutation(few, np.arange(8) < 3) == pytest.approx(expected)


def test_permutation_p_values_are_uniform_under_the_null():
    random = np.random.default_rng(4)
    p = [label_permutation(random.integers(0, 1000, 12), np.arange(12) < 6) for _ in range(300)]
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.05)
    assert np.mean(p) == pytest.approx(0.5, abs=0.06)


def test_labels_that_vary_within_patients_are_tested_within_patients(engine):
    found = engine.cohorts(ItemQuery(TUMOUR_SPOT), by="label", k=20)
    frame = found.to_pandas().set_index("group")
    assert found.test == "sign flip over patients"
    assert frame.loc["tumour", "p_value"] == pytest.approx(1 / 8)  # three labelled patients, all in excess
    assert frame.loc["immune", "p_value"] == 1


def test_sign_flip_by_hand():
    assert sign_flip(np.array([1.0, 2.0, 0.0])) == pytest.approx(0.25)
    assert sign_flip(np.array([1.0, -2.0])) == pytest.approx(0.75)
    assert sign_flip(np.zeros(5)) is None


@pytest.mark.parametrize(("by", "why"), [("patient", "unit of the test"), ("technology", "same technology")])
def test_what_cannot_be_permuted_has_no_p_value(engine, by, why):
    found = engine.cohorts(ItemQuery(TUMOUR_SPOT), by=by)
    assert found.table.column("p_value").null_count == len(found)
    assert any(why in note for note in found.notes)


def test_hits_found_before_count_the_same(engine):
    query = ItemQuery(TUMOUR_SPOT)
    again = engine.cohorts(engine.search(query, k=20, exclude="patient"), by="cohort")
    assert again.table.equals(engine.cohorts(query, by="cohort", k=20).table)


def test_where_narrows_hits_and_base(engine):
    found = engine.cohorts(GenesQuery("IMM1"), by="organ", where="patient IN ('A', 'E')")
    assert found.n_eligible == 32
    assert found.n_hits == 8  # a quarter of what may answer
    assert found.to_pandas()["patients_in_index"].tolist() == [1, 1]


def test_slides_have_cohorts_too(engine):
    found = engine.cohorts(SlideQuery("A1", "expression"), by="organ", k=4)
    assert found.to_pandas().iloc[0]["group"] == "breast"


def test_errors(engine):
    with pytest.raises(QueryError, match="by='colour'"):
        engine.cohorts(GenesQuery("TUM1"), by="colour")
    with pytest.raises(QueryError, match="has a label"):
        engine.cohorts(GenesQuery("TUM1"), by="label", where="patient = 'H'")
    with pytest.raises(QueryError, match="group_by"):
        engine.cohorts(engine.search(GenesQuery("TUM1"), group_by="slide"))
    with pytest.raises(QueryError, match="k is 0"):
        engine.cohorts(GenesQuery("TUM1"), k=0)
