"""Label retrieval: votes, precision and F1 by hand, leave-one-patient-out, and the rows that see nothing."""

import numpy as np
import pytest
import scipy.sparse as sp

from search.errors import QueryError
from search.quality.label_neighbours import Neighbourhoods, commonest_label, joined, nearest_labels, random_labels
from search.quality.label_retrieval import MAP, f1_by_class, label_figures, votes
from search.quality.log_count_neighbours import KNN, KNN_CENTRED, count_similarities


def values(figures):
    return {figure.metric: figure.value for figure in figures}


def test_metrics_of_one_query_by_hand():
    # Answers 0 1 1 0 1 ...: the query is a 1, which 4 items of the gallery bear.
    top = np.array([[0, 1, 1, 0, 1, 0, 0, 0, 0, 1]])
    found = Neighbourhoods(top, np.array([1]), np.array([4]), np.array(["P"]), 20)
    got = values(label_figures(found, ["a", "b"], question="q", method="m"))
    assert (got["hit@1"], got["hit@3"], got["hit@10"]) == (0, 1, 1)
    assert (got["majority vote @1"], got["majority vote @3"], got["majority vote @5"]) == (0, 1, 1)
    assert got[MAP] == pytest.approx((1 / 2 + 2 / 3 + 3 / 5 + 4 / 10) / 4)
    assert got["macro-F1 @3"] == 1.0
    assert "F1 @5 a" not in got  # no query bears it


def test_a_tied_vote_goes_to_the_nearest():
    assert votes(np.array([[2, 1, 1, 2, 0], [0, 1, 2, -1, -1]]), 5).tolist() == [2, 0]


def test_f1_by_class_by_hand():
    f1 = f1_by_class(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3)
    np.testing.assert_allclose(f1, [0.8, 2 / 3, np.nan])


@pytest.fixture
def world():
    """Three patients whose items of two classes lie apart, but each patient's own items lie closest together."""
    rng = np.random.default_rng(0)
    codes = np.tile(np.repeat([0, 1], 10), 3)
    patients = np.repeat(["A", "B", "C"], 20)
    own = np.repeat(np.eye(3) * 3, 20, axis=0)
    vectors = np.column_stack([np.where(codes == 0, 1.0, -1.0), own]) + rng.normal(0, 0.05, (60, 4))
    return vectors, codes, patients


def test_a_patient_is_never_answered_by_itself(world):
    vectors, codes, patients = world
    misled = np.where(patients == "A", 1 - codes, codes)  # A's own neighbours would confirm A's wrong labels
    asked = patients == "A"
    found = nearest_labels(lambda a, b: vectors[a] @ vectors[b].T, misled, patients, asked)
    assert found.n_gallery == 40
    assert values(label_figures(found, ["a", "b"], question="q", method="m"))["hit@1"] == 0.0
    found = nearest_labels(lambda a, b: vectors[a] @ vectors[b].T, codes, patients, asked)
    figures = label_figures(found, ["a", "b"], question="q", method="m")
    assert values(figures)["macro-F1 @5"] == 1.0
    assert figures[0].group == "patient A"


def test_the_most_common_label_and_chance_stay_below(world):
    _, codes, patients = world
    codes = np.where(np.arange(60) % 4 == 0, 1, 0)
    asked = np.ones(60, dtype=bool)
    habit = values(label_figures(commonest_label(codes, patients, asked), ["a", "b"], question="q", method="m"))
    assert habit["majority vote @5"] == pytest.approx(0.75)
    assert habit["macro-F1 @5"] == pytest.approx(2 * 0.75 / 1.75 / 2)
    chance = label_figures(random_labels(codes, patients, asked), ["a", "b"], question="q", method="random")
    assert values(chance)["hit@1"] == pytest.approx(0.75**2 + 0.25**2, abs=0.06)
    assert all(figure.low is None for figure in chance)


def test_folds_join(world):
    vectors, codes, patients = world
    folds = [
        nearest_labels(lambda a, b: vectors[a] @ vectors[b].T, codes, patients, patients == p) for p in ("A", "B", "C")
    ]
    whole = nearest_labels(lambda a, b: vectors[a] @ vectors[b].T, codes, patients, np.ones(60, dtype=bool))
    np.testing.assert_array_equal(joined(folds).top, whole.top)
    assert label_figures(whole, ["a", "b"], question="q", method="m")[0].group == "3 patients, each left out"


def test_one_patient_only_and_nan_are_refused(world):
    vectors, codes, patients = world
    everyone = np.ones(60, dtype=bool)
    with pytest.raises(QueryError, match="at least two patients"):
        nearest_labels(lambda a, b: vectors[a] @ vectors[b].T, codes, np.full(60, "A"), everyone)
    with pytest.raises(QueryError, match="not finite"):
        nearest_labels(lambda a, b: np.full((len(a), len(b)), np.nan), codes, patients, everyone)


def test_neighbours_on_counts_see_through_a_section_offset():
    rng = np.random.default_rng(0)
    slides = np.repeat(["S1", "S2"], 6)
    tissue = np.tile([0, 1], 6)
    profile = np.array([[3.0, 0, 1, 1], [0, 3.0, 1, 1]])[tissue]
    profile[6:, 2] += 8.0  # a batch effect of the second section
    similar = count_similarities(sp.csr_matrix(profile + rng.uniform(0, 0.1, profile.shape)), slides)
    assert set(similar) == {KNN, KNN_CENTRED}
    scores = similar[KNN_CENTRED](np.arange(6), np.arange(6, 12))
    assert (tissue[6:][scores.argmax(axis=1)] == tissue[:6]).all()
    np.testing.assert_allclose(np.diag(similar[KNN](np.arange(3), np.arange(3))), 1.0)
