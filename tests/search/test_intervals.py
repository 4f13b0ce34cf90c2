"""Intervals of predicted expression: they hold the share they are asked to, and rest on other patients."""

import numpy as np
import pytest

from search import ItemQuery
from search.errors import QueryError
from search.expression.intervals import Misses, misses
from search.expression.temperature import unfitted
from search.profiles import log_per_10k

FIT = unfitted("image")
SPOT = "A1/spot/s0"


def test_half_widths_are_order_statistics_with_the_finite_sample_correction():
    residuals = np.arange(1.0, 100.0)[:, None]  # 99 spots
    known = Misses(residuals, np.ones(1), 5, 5)
    assert known.half_widths(np.array([0.5]), 0.9) == pytest.approx([90.0])  # with the floor, 1 is predicted
    assert known.half_widths(np.array([0.5]), 0.5) == pytest.approx([50.0])
    assert known.half_widths(np.array([0.5]), 0.995) == np.inf
    assert known.half_widths(np.array([1.5]), 0.9) == pytest.approx([180.0])  # where more is expressed, more is missed


def test_new_values_like_those_measured_are_covered_at_the_stated_rate():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(60):
        residuals = np.sort(np.abs(rng.standard_t(4, (150, 20))), axis=0)
        half = Misses(residuals, np.ones(20), 5, 5).half_widths(np.full(20, 0.5), 0.9)
        covered.append((np.abs(rng.standard_t(4, (100, 20))) <= half).mean())
    assert np.mean(covered) == pytest.approx(0.9, abs=0.01)


def test_planted_spots_lie_within_their_intervals(engine):
    catalogue = engine.catalogue
    rows = np.flatnonzero((catalogue.column("kind") == "spot") & (catalogue.column("patient") == "A"))[:6]
    inside = []
    for row in rows.tolist():
        query = ItemQuery(str(catalogue.column("id")[row]), "image")
        found = engine.predict_expression(query, genes=engine.index.genes, coverage=0.9)
        table = found.to_pandas()
        true = log_per_10k(catalogue, np.array([row])).toarray()[0]
        inside.append(((table["low"] <= true) & (true <= table["high"] + 1e-6)).mean())
        assert (table["low"] >= 0).all()
        assert found.coverage == 0.9
        assert "of 7 patients (1 with pictures)" in found.notes[-1]
    assert np.mean(inside) > 0.8


def test_the_queried_patient_is_left_out_and_every_other_is_in(engine):
    columns = np.arange(4)
    assert misses(engine.catalogue, columns, fit=FIT).n_patients == 8
    assert misses(engine.catalogue, columns, fit=FIT, without=("A",)).n_patients == 7


def test_genes_of_a_tissue_are_predictable(engine):
    found = engine.predict_expression(ItemQuery(SPOT, "image"), genes=["STR1", "IMM1"], coverage=0.8)
    assert (found.to_pandas()["r"] > 0.8).all()


def test_wider_coverage_gives_wider_intervals(engine):
    def width(coverage):
        table = engine.predict_expression(ItemQuery(SPOT, "image"), genes=["TUM1"], coverage=coverage).to_pandas()
        return float((table["high"] - table["low"]).iloc[0])

    assert width(0.95) > width(0.5)


@pytest.mark.parametrize("coverage", [0.0, 1.0, -0.1, 90.0, float("nan")])
def test_shares_that_are_none(engine, coverage):
    with pytest.raises(QueryError, match="is no share; give a number between 0 and 1"):
        engine.predict_expression(ItemQuery(SPOT, "image"), coverage=coverage)


def test_intervals_are_measured_for_one_way_of_weighting(engine):
    with pytest.raises(QueryError, match="mode='mean50'"):
        engine.predict_expression(ItemQuery(SPOT, "image"), mode="mean50", coverage=0.9)


def test_without_a_coverage_there_is_none(engine):
    found = engine.predict_expression(ItemQuery(SPOT, "image"), n_genes=3)
    assert found.table.column("low").null_count == 3
    assert found.coverage is None
