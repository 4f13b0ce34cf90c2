"""Misses that are kept are those that are measured, whatever was asked before."""

import numpy as np
import pytest

from search.expression import kept_misses
from search.expression.intervals import misses
from search.expression.kept_misses import KeptMisses
from search.expression.temperature import unfitted

FIT = unfitted("image")


def assert_same(kept, measured):
    assert kept.residuals == pytest.approx(measured.residuals, abs=1e-6)
    assert kept.r == pytest.approx(measured.r, abs=1e-6, nan_ok=True)
    assert (kept.n_patients, kept.n_pictured, kept.n_told) == (
        measured.n_patients, measured.n_pictured, measured.n_told,
    )  # fmt: skip


@pytest.mark.parametrize("most", [4_096, 4])
def test_any_genes_in_any_order_of_any_patient(engine, monkeypatch, most):
    monkeypatch.setattr(kept_misses, "_MOST_GENES", most)
    monkeypatch.setattr(kept_misses, "_MOST_KEPT", 1)
    monkeypatch.setattr(kept_misses, "_LIKELY", 2)
    known = KeptMisses(engine.catalogue)
    asked = [([3, 1], ("A",)), ([0, 3], ("A",)), ([1, 0, 5], ("A",)), ([2], ("B",)), ([3], ("A",)), ([4, 2, 0], ())]
    for columns, without in asked:
        genes = np.array(columns)
        assert_same(known.of(genes, FIT, without), misses(engine.catalogue, genes, fit=FIT, without=without))


def test_genes_are_measured_once_a_patient_and_the_second_time_with_those_that_vary(engine, monkeypatch):
    measured = []

    def noted(catalogue, columns, *, fit, without):
        measured.append(len(columns))
        return misses(catalogue, columns, fit=fit, without=without)

    monkeypatch.setattr(kept_misses, "misses", noted)
    known = KeptMisses(engine.catalogue)
    for columns in ([1, 3], [3, 1], [1, 2], [4, 5], [0, 2]):
        known.of(np.array(columns), FIT, ("A",))
    assert measured == [2, len(engine.index.genes) - 2]


def test_where_too_few_spots_tell_nothing_is_measured_again(engine):
    everyone = tuple(set(engine.catalogue.column("patient")))
    known = KeptMisses(engine.catalogue)
    assert known.of(np.array([0]), FIT, everyone) is None
    assert known.of(np.array([1]), FIT, everyone) is None
