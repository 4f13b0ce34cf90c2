"""The HEST recipe and retrieval on planted signals; constants are undefined, never zero."""

import numpy as np
import pytest
import scipy.sparse as sp

from search.errors import QueryError
from search.quality.expression_quality import (
    PEARSON,
    UNDEFINED,
    Target,
    hest_ridge,
    most_variable,
    pearson_by_gene,
    prediction_figures,
    retrieved,
    stacked,
)


def test_ridge_recovers_a_planted_linear_map():
    rng = np.random.default_rng(0)
    X, W = rng.normal(size=(300, 12)), rng.normal(size=(12, 5))
    predict = hest_ridge(X[:200], X[:200] @ W)
    by_gene = pearson_by_gene(predict(X[200:]), X[200:] @ W)
    assert (by_gene > 0.999).all()


def test_ridge_is_the_closed_form_on_standardised_features():
    rng = np.random.default_rng(1)
    X, Y = rng.normal(2, 3, size=(40, 6)), rng.normal(size=(40, 3))
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    alpha = 100 / (6 * 3)
    expected = Z @ np.linalg.solve(Z.T @ Z + alpha * np.eye(6), Z.T @ Y)
    np.testing.assert_allclose(hest_ridge(X, Y)(X), expected, atol=1e-9)


def test_pearson_of_a_constant_is_undefined():
    rng = np.random.default_rng(0)
    measured = rng.normal(size=(20, 3))
    predicted = measured * [1, -2, 0] + 0.1
    np.testing.assert_allclose(pearson_by_gene(predicted, measured), [1, -1, np.nan])
    figures = prediction_figures(predicted, Target("S", "P", measured), 7)
    assert figures.values[PEARSON] == pytest.approx(0.0)
    assert figures.note == "1 constant genes dropped"


def test_the_mean_expression_row_has_no_value():
    rng = np.random.default_rng(0)
    measured = rng.normal(size=(30, 4))
    mean = np.repeat(rng.normal(size=(1, 4)), 30, axis=0)
    figures = prediction_figures(mean, Target("S", "P", measured), 9)
    assert np.isnan(figures.values[PEARSON])
    assert figures.drawn.shape == (0, 1)
    assert figures.note == UNDEFINED


def test_most_variable_genes_must_be_detected_and_enough():
    counts = np.ones((100, 60))
    counts[:, :50] += np.random.default_rng(0).poisson(5, size=(100, 50))
    counts[:, 55] = 0
    counts[0, 55] = 1e6  # one spot does not make a gene
    columns = most_variable(stacked([sp.csr_matrix(counts)]))
    assert columns.tolist() == list(range(50))
    with pytest.raises(QueryError, match="10 genes vary"):
        most_variable(stacked([sp.csr_matrix(counts[:, :10])]))


def test_retrieval_averages_as_the_engine_does():
    expression = np.arange(120.0).reshape(60, 2)
    scores = np.linspace(1, -0.9, 60, dtype=np.float32)[None]
    np.testing.assert_allclose(retrieved(scores, expression, "mean50")[0], expression[:50].mean(axis=0))
    weights = scores[0].astype(np.float64) / scores[0].astype(np.float64).sum()
    np.testing.assert_allclose(retrieved(scores, expression, "raw")[0], weights @ expression)
    assert (retrieved(scores, expression, "softmax") < retrieved(scores, expression, "mean50")).all()


def test_nan_is_refused():
    X = np.ones((5, 2))
    X[0, 0] = np.nan
    with pytest.raises(QueryError, match="all values finite"):
        hest_ridge(X, np.ones((5, 1)))
    with pytest.raises(QueryError, match="must be finite"):
        prediction_figures(X, Target("S", "P", np.ones((5, 2))), 3)
