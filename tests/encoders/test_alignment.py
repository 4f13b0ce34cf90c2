"""The closed form against what it must give."""

import numpy as np
import pytest

from encoders.alignment import principal_axes, ridge_cca


@pytest.fixture
def views():
    rng = np.random.default_rng(1)
    traits = rng.normal(size=(400, 2))
    X = np.hstack([traits + 0.1 * rng.normal(size=(400, 2)), rng.normal(size=(400, 3))])
    Y = np.hstack([traits @ [[2.0, 1.0], [0.0, 1.0]] + 0.1 * rng.normal(size=(400, 2)), rng.normal(size=(400, 2))])
    return X - X.mean(axis=0), Y - Y.mean(axis=0)


def test_the_shared_directions_are_found(views):
    found = ridge_cca(*views, dim=3, shrinkage=1e-6)
    assert found.correlations[:2].min() > 0.95
    assert found.correlations[2] < 0.2
    for i in range(2):
        assert np.corrcoef(views[0] @ found.x[:, i], views[1] @ found.y[:, i])[0, 1] > 0.95


def test_directions_are_uncorrelated_with_unit_variance(views):
    X, Y = views
    found = ridge_cca(X, Y, dim=3, shrinkage=1e-9)
    np.testing.assert_allclose(found.x.T @ (X.T @ X / len(X)) @ found.x, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(found.x.T @ (X.T @ Y / len(X)) @ found.y, np.diag(found.correlations), atol=1e-6)


def test_shrinkage_lowers_the_correlations(views):
    loose, tight = ridge_cca(*views, dim=2, shrinkage=0.01), ridge_cca(*views, dim=2, shrinkage=1.0)
    assert (tight.correlations < loose.correlations).all()


def test_signs_are_fixed(views):
    X, Y = views
    found, mirrored = ridge_cca(X, Y, dim=2, shrinkage=0.1), ridge_cca(X, -Y, dim=2, shrinkage=0.1)
    np.testing.assert_allclose(found.x, mirrored.x, atol=1e-9)
    np.testing.assert_allclose(found.y, -mirrored.y, atol=1e-9)


def test_principal_axes_span_what_varies_most():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(300, 5)) * [1, 9, 3, 0.1, 0.5]
    axes = principal_axes(X - X.mean(axis=0), 2)
    assert np.argmax(np.abs(axes), axis=0).tolist() == [1, 2]
    assert (axes[[1, 2], [0, 1]] > 0.9).all()
