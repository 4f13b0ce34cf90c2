"""Directions of single genes: where spots that have the gene high lie, apart from what all like genes share."""

import numpy as np
import pytest
import scipy.sparse as sp

from encoders.gene_directions import gene_directions
from encoders.profiles import Profiles

N_SPOTS = 300


@pytest.fixture(scope="module")
def depth():
    return np.exp(np.random.default_rng(1).normal(scale=0.5, size=N_SPOTS))


def _section(n_genes, depth, *, rates=(0.02, 0.15)):
    """Genes of several abundances; MARK follows a trait, all others follow nothing but depth."""
    rng = np.random.default_rng(0)
    trait = rng.normal(size=N_SPOTS)
    expected = np.tile(rng.uniform(*rates, size=n_genes), (N_SPOTS, 1))
    expected[:, 0] = 0.5 * np.exp(trait)
    counts = rng.poisson(expected * depth[:, None])
    genes = ("MARK", *(f"G{i}" for i in range(1, n_genes)))
    return Profiles.read(sp.csr_matrix(counts.astype(np.float64)), genes), trait


def _directions(n_genes, depth, **how):
    section, trait = _section(n_genes, depth, **how)
    # A place that depth moves as much as the trait does, each along its own axis.
    logs = np.log(depth)
    place = np.stack([trait - trait.mean(), (logs - logs.mean()) / logs.std()], axis=1)
    symbols, slopes = gene_directions([section], lambda _: place, min_detected=0.01)
    return dict(zip(symbols, slopes, strict=True))


def test_what_rare_genes_share_is_taken_off(depth):
    found = _directions(2_000, depth)
    others = np.stack([slope for symbol, slope in found.items() if symbol != "MARK"])
    assert np.abs(others.mean(axis=0)).max() < 0.03
    assert found["MARK"][0] > 0.3
    assert found["MARK"][0] > 3 * np.abs(others[:, 0]).mean()


def test_genes_found_everywhere_keep_what_they_share(depth):
    found = _directions(2_000, depth, rates=(20.0, 40.0))
    common = np.stack([slope for symbol, slope in found.items() if symbol != "MARK"]).mean(axis=0)
    few = _directions(1_500, depth, rates=(20.0, 40.0))  # too few for a background: plain slopes
    plain = np.stack([slope for symbol, slope in few.items() if symbol != "MARK"]).mean(axis=0)
    np.testing.assert_allclose(common, plain, atol=0.02)
    assert np.abs(plain).max() > 0.03


def test_a_small_panel_has_no_background(depth):
    found = _directions(60, depth)
    others = np.stack([slope for symbol, slope in found.items() if symbol != "MARK"])
    section, trait = _section(60, depth)
    log = np.asarray(section.log_normalised().todense())
    expected = np.mean(log[:, 0] * (trait - trait.mean())) / log[:, 0].std()
    assert found["MARK"][0] == pytest.approx(expected)
    assert len(others) == 59
