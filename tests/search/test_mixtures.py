"""Spots of known composition, and the solver that takes them apart."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from search.cells.decomposition import amounts_of, gene_scales, marker_system, shares_of
from search.cells.least_squares import nonnegative
from search.cells.mixtures import MixtureRecipe, mix_spots
from search.cells.reference import reference_from_counts
from search.errors import CellReferenceError


def cells(n_each=40, n_genes=60, seed=0):
    """Three types, the second with four times the RNA of the others; labels beside."""
    rng = np.random.default_rng(seed)
    profiles = rng.gamma(0.4, 1.0, (3, n_genes)) + 0.05
    size = np.array([1_000, 4_000, 1_000])
    expected = profiles / profiles.sum(axis=1, keepdims=True) * size[:, None]
    counts = rng.poisson(np.repeat(expected, n_each, axis=0) * rng.gamma(8, 1 / 8, (3 * n_each, 1)))
    return sp.csr_matrix(counts.astype(float)), np.repeat(["a", "b", "c"], n_each).tolist()


def test_a_spot_is_the_sum_of_its_cells():
    counts, labels = cells()
    made = mix_spots(counts, labels, 200, recipe=MixtureRecipe(depth=500, depth_sigma=0.2), seed=1)
    assert made.types == ("a", "b", "c")
    assert made.cells.sum(axis=1) == pytest.approx(np.ones(200))
    assert made.rna.sum(axis=1) == pytest.approx(np.ones(200))
    assert np.median(np.asarray(made.counts.sum(axis=1))) == pytest.approx(500, rel=0.1)
    mixed = (made.cells[:, 1] > 0) & (made.cells[:, 1] < 1)
    assert (made.rna[mixed, 1] > made.cells[mixed, 1]).all()  # its cells are the largest
    again = mix_spots(counts, labels, 200, recipe=MixtureRecipe(depth=500, depth_sigma=0.2), seed=1)
    assert (made.counts != again.counts).nnz == 0


def test_no_spot_has_more_counts_than_its_cells():
    counts, labels = cells()
    made = mix_spots(counts, labels, 20, recipe=MixtureRecipe(n_cells=(1, 1), depth=1e9), seed=2)
    assert np.asarray(made.counts.sum(axis=1)).max() <= np.asarray(counts.sum(axis=1)).max()
    assert set(np.unique(made.cells)) == {0.0, 1.0}


def test_shares_of_cells_differ_from_shares_of_rna_and_both_are_found():
    counts, labels = cells()
    first = np.arange(len(labels)) % 2 == 0
    names = np.array(labels)
    genes = [f"G{i}" for i in range(counts.shape[1])]
    reference = reference_from_counts(counts[first], genes, names[first].tolist())
    spots = mix_spots(counts[~first], names[~first].tolist(), 150, seed=3)
    system = marker_system(reference, genes)
    values = spots.counts[:, system.columns].toarray() / np.asarray(spots.counts.sum(axis=1)) * 10_000
    amounts = amounts_of(system, values, scales=gene_scales(system, values))
    assert np.abs(shares_of(system, amounts, "cells") - spots.cells).mean() < 0.05
    assert np.abs(shares_of(system, amounts, "rna") - spots.rna).mean() < 0.05
    assert np.abs(shares_of(system, amounts, "rna") - spots.cells).mean() > 0.1


def test_genes_that_are_read_stronger_here_are_scaled():
    counts, labels = cells(n_genes=200)
    genes = [f"G{i}" for i in range(200)]
    reference = reference_from_counts(counts, genes, labels)
    spots = mix_spots(counts, labels, 150, seed=4)
    stronger = np.exp(np.random.default_rng(5).normal(0, 1.0, 200))
    system = marker_system(reference, genes)
    distorted = spots.counts.toarray() * stronger
    values = distorted[:, system.columns] / distorted.sum(axis=1, keepdims=True) * 10_000
    scales = gene_scales(system, values)
    assert np.corrcoef(np.log(scales), np.log(stronger[system.columns]))[0, 1] > 0.9
    error = [
        np.abs(shares_of(system, amounts_of(system, values, scales=s)) - spots.cells).mean() for s in (None, scales)
    ]
    assert error[1] < 0.7 * error[0]
    assert gene_scales(system, values[:29]) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["a"] * 120}, "1 type"),
        ({"labels": ["a", "b"]}, "2 labels .* 120 cells"),
        ({"counts": sp.csr_matrix((120, 60))}, "120 cells have no counts"),
    ],
)
def test_cells_that_cannot_be_mixed(change, message):
    counts, labels = cells()
    with pytest.raises(CellReferenceError, match=message):
        mix_spots(change.get("counts", counts), change.get("labels", labels), 5)


def test_recipes_that_make_no_sense():
    with pytest.raises(CellReferenceError, match=r"n_cells=\(3, 2\)"):
        MixtureRecipe(n_cells=(3, 2))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(12, 40), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_many_rows_at_once_give_what_each_gives_alone(n_types, n_genes, n, seed):
    rng = np.random.default_rng(seed)
    profiles = rng.gamma(0.3, 1.0, (n_types, n_genes)) + 1e-3
    values = rng.poisson(rng.dirichlet(np.full(n_types, 0.3), n) @ profiles * 5).astype(float)
    weights = rng.uniform(0.3, 2.0, values.shape)
    found = nonnegative(profiles, values, weights)
    alone = np.array([nnls((profiles * w).T, y * w)[0] for y, w in zip(values, weights, strict=True)])
    assert found.min() >= 0
    left = [np.linalg.norm(weights * (values - a @ profiles), axis=1) for a in (found, alone)]
    assert left[0] == pytest.approx(left[1], rel=1e-6, abs=1e-6)
