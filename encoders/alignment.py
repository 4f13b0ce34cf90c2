"""Two views of the same spots brought into one space: regularised canonical correlation analysis, in closed form.

Hotelling, Biometrika 28, 1936; ridge form: Vinod, J. Econometrics 4, 1976. Everything is float64 and deterministic:
the sign of a direction, free in theory, is fixed by its largest weight.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg

from encoders.errors import TrainingError

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CanonicalDirections:
    """Maps of both views into the shared space.

    Attributes
    ----------
    x, y : float64 (n_x, dim), (n_y, dim)
        Columns are canonical directions, strongest first.
    correlations : float64 (dim,)
        Regularised canonical correlations, in [0, 1].
    """

    x: Matrix
    y: Matrix
    correlations: Matrix


def principal_axes(X: Matrix, n_axes: int) -> Matrix:
    """First principal axes `(n_features, n_axes)` of centred rows `X (n, n_features)`, by the covariance matrix."""
    n_features = X.shape[1]
    covariance = X.T @ X / len(X)
    _, axes = scipy.linalg.eigh(covariance, subset_by_index=(n_features - n_axes, n_features - 1))
    ordered = np.ascontiguousarray(axes[:, ::-1])
    return ordered * _signs(ordered)


def ridge_cca(X: Matrix, Y: Matrix, *, dim: int, shrinkage: float) -> CanonicalDirections:
    """Directions of largest regularised correlation between paired, centred rows.

    Maximises `a' Cxy b` subject to `a' (Cxx + rx I) a = b' (Cyy + ry I) b = 1`, with `r = shrinkage * trace(C) / d`;
    the solution is the SVD of the whitened cross-covariance.

    Parameters
    ----------
    X, Y : float64 (n, n_x), (n, n_y)
        Row i of both is the same spot.
    dim : int
        Directions to keep, at most the smaller of `n_x` and `n_y`.
    shrinkage : float
        Ridge in units of the mean variance of a view.

    Raises
    ------
    TrainingError
        If a view does not vary.
    """
    white_x, white_y = _whitening(X, shrinkage), _whitening(Y, shrinkage)
    left, correlations, right = scipy.linalg.svd(white_x @ (X.T @ Y / len(X)) @ white_y)
    x, y = white_x @ left[:, :dim], white_y @ right[:dim].T
    signs = _signs(x)
    return CanonicalDirections(x=x * signs, y=y * signs, correlations=correlations[:dim])


def _whitening(X: Matrix, shrinkage: float) -> Matrix:
    covariance = X.T @ X / len(X)
    n_features = len(covariance)
    if not np.trace(covariance) > 0:
        raise TrainingError(
            f"One side of the {len(X)} pairs does not vary at all; give spots that differ in pictures and counts."
        )
    ridge = shrinkage * np.trace(covariance) / n_features
    values, axes = scipy.linalg.eigh(covariance + ridge * np.eye(n_features))
    return np.asarray((axes / np.sqrt(values)) @ axes.T)


def _signs(directions: Matrix) -> Matrix:
    largest = np.argmax(np.abs(directions), axis=0)
    return np.asarray(np.sign(directions[largest, np.arange(directions.shape[1])]))
