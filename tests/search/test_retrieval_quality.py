"""Ranks, recall and intervals on cases whose answers are known."""

import numpy as np
import pytest

from search.errors import QueryError
from search.quality.quality_figures import RANDOM, Figure, SectionFigures, headline_group, summed_up
from search.quality.retrieval_quality import PairedVectors, as_niches, chance_measures, own_ranks, retrieval_figures


def units(rows):
    values = np.array(rows, dtype=np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def section(slide, patient, images, expression, **more):
    return PairedVectors(slide, patient, images, expression, **more)


def value(figures, question, metric, method, group):
    (found,) = [f for f in figures if (f.question, f.metric, f.method, f.group) == (question, metric, method, group)]
    return found


def test_perfect_pairs_have_rank_one_and_certain_intervals():
    vectors = np.eye(40, dtype=np.float32)
    figures = retrieval_figures([section("S1", "P", vectors, vectors)], "space")
    for metric, expected in {"R@1": 1, "R@5": 1, "R@10": 1, "R@5%": 1, "R@10%": 1, "median rank / N": 1 / 40}.items():
        found = value(figures, "image->expression", metric, "space", "section S1")
        assert (found.value, found.low, found.high) == pytest.approx((expected,) * 3)
        assert (found.n_queries, found.n_gallery) == (40, 40)


def test_recall_at_a_number_and_at_a_share_differ():
    # The own answer of every query ranks third of 60: in the first 5, in the first 5 % (3 spots), not first.
    angles = np.linspace(0, np.pi / 2, 60)
    expression = units(np.column_stack([np.cos(angles), np.sin(angles)]))
    ranks = own_ranks(expression, expression)
    assert set(ranks) == {1}
    chance = chance_measures(60)
    assert chance["R@5"] == pytest.approx(5 / 60)
    assert chance["R@5%"] == pytest.approx(3 / 60)
    assert chance["R@10"] == pytest.approx(10 / 60)
    assert chance["R@10%"] == pytest.approx(6 / 60)


def test_ties_rank_last_even_where_products_differ_in_the_last_bit():
    rng = np.random.default_rng(0)
    same = np.repeat(units(rng.normal(size=(1, 33))), 50, axis=0)
    nearly = same + rng.choice([-1e-8, 1e-8], size=same.shape).astype(np.float32)
    assert set(own_ranks(same, nearly)) == {50}


def test_random_vectors_score_like_the_random_row():
    rng = np.random.default_rng(1)
    figures = [
        f
        for i in range(30)
        for f in retrieval_figures(
            [section(f"S{i}", "P", units(rng.normal(size=(80, 6))), units(rng.normal(size=(80, 6))))], "space"
        )
        if f.metric == "R@10%" and f.question == "image->expression"
    ]
    chance = [f.value for f in figures if f.method == RANDOM]
    measured = [f.value for f in figures if f.method == "space"]
    assert np.mean(measured) == pytest.approx(np.mean(chance), rel=0.15)
    within = [f.low <= 0.1 <= f.high for f in figures if f.method == "space"]
    assert np.mean(within) > 0.75


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_refused(bad):
    vectors = np.eye(4, dtype=np.float32)
    broken = vectors.copy()
    broken[2, 1] = bad
    with pytest.raises(QueryError, match=r"1 of 4 spots .*row 2"):
        own_ranks(vectors, broken)


def figures_of(slide, patient, score, n_gallery=10, spread=0.0):
    rng = np.random.default_rng(0)
    drawn = score + spread * rng.normal(size=(500, 1))
    return SectionFigures(slide, patient, False, {"m": score}, drawn, 10, n_gallery)


def test_patients_weigh_the_same_however_many_sections_they_have():
    sections = [figures_of("C1", "C", 0.2), figures_of("C2", "C", 0.4), figures_of("B1", "B", 0.9, n_gallery=30)]
    found = {f.group: f for f in summed_up(sections, question="q", method="space")}
    assert set(found) == {"section C1", "section C2", "section B1", "patient C", "all patients"}
    assert found["patient C"].value == pytest.approx(0.3)
    assert found["all patients"].value == pytest.approx((0.3 + 0.9) / 2)
    assert "3 sections, galleries of 10 to 30" in found["all patients"].note
    # Two patients drawn with replacement: from B twice to C twice.
    assert found["all patients"].low == pytest.approx(0.2, abs=0.11)
    assert found["all patients"].high == pytest.approx(0.9)


def test_one_section_is_not_summed_up_twice():
    (only,) = summed_up([figures_of("B4", "B", 0.5)], question="q", method="space")
    assert only.group == "section B4"
    assert headline_group([only]) == "section B4"


def test_an_undefined_value_is_none_and_has_no_interval():
    section_figures = SectionFigures("S", "P", False, {"m": float("nan")}, np.empty((0, 1)), 3, 3, note="undefined")
    (figure,) = summed_up([section_figures], question="q", method="mean")
    assert isinstance(figure, Figure)
    assert (figure.value, figure.low, figure.high, figure.note) == (None, None, None, "undefined")


def test_niches_average_neighbours_and_need_positions():
    rng = np.random.default_rng(0)
    vectors = units(rng.normal(size=(12, 4)))
    xy = np.column_stack([np.arange(12) * 100.0, np.zeros(12)])
    pooled = as_niches(section("S", "P", vectors, vectors, xy_px=xy))
    np.testing.assert_allclose(pooled.expression[5], units(vectors[3:8].mean(axis=0)[None])[0], rtol=1e-5)
    np.testing.assert_allclose(pooled.images[5], units(vectors[2:9].mean(axis=0)[None])[0], rtol=1e-5)
    with pytest.raises(QueryError, match="no niches"):
        as_niches(section("S", "P", vectors, vectors))
