"""How far amounts may be off: samples of a fit, drawn among its few types rather than its many genes."""

import numpy as np

from encoders.contracts import Floats
from search.cells.least_squares import NormalEquations, gram_of, solved
from search.profiles import Doubles

N_SAMPLES = 20  # enough for a standard deviation known to a sixth of itself
_RIDGE = 1e-12  # of the largest variance, so that a covariance of dependent types still has a root


def counting_covariance(profiles: Doubles, values: Doubles, weights: Doubles, per_count: Doubles) -> Doubles:
    """Covariance of `sum_g w_g^2 p_g y_g` when each value is a Poisson count, for each row.

    Parameters
    ----------
    profiles : float64 (n_types, n_genes)
        `p`.
    values, weights : float64 (n, n_genes)
        `y` and `w`.
    per_count : float64 (n,)
        What one count is worth in `values`.

    Returns
    -------
    float64 (n_types, n_types, n)
    """
    return gram_of(profiles, weights**4 * values * per_count[:, None])


def sampling_covariance(profiles: Doubles, values: Floats, shares: Doubles, weights: Doubles) -> Doubles:
    """Covariance of the same sum when each value is a weighted mean of members, and which these are is chance.

    Parameters
    ----------
    profiles : float64 (n_types, n_genes)
        `p`.
    values : float32 (n, k, n_genes)
        Of the members of each row.
    shares : float64 (n, k)
        Their weights in the mean; rows sum to 1.
    weights : float64 (n, n_genes)
        `w`.
    """
    weighted = (np.square(weights)[:, :, None] * profiles.T).astype(np.float32)
    along = (values @ weighted).astype(np.float64)
    apart = (along - shares[:, None, :] @ along) * shares[:, :, None]
    return np.moveaxis(np.swapaxes(apart, 1, 2) @ apart, 0, 2)


def amount_samples(
    profiles: Doubles,
    values: Doubles,
    weights: Doubles,
    covariance: Doubles,
    amounts: Doubles,
    rng: np.random.Generator,
) -> Doubles:
    """Draw amounts that a fit might as well have given, the weights held.

    The values enter a least-squares fit only through one sum a type, so these sums are drawn, from a normal
    distribution of the given covariance, and the fit is solved again for each.

    Parameters
    ----------
    profiles : float64 (n_types, n_genes)
        Profiles of the types.
    values, weights : float64 (n, n_genes)
        What was fitted, and the weights that the fit ended with.
    covariance : float64 (n_types, n_types, n)
        Of the sums.
    amounts : float64 (n, n_types)
        The fit.

    Returns
    -------
    float64 (N_SAMPLES, n, n_types)
    """
    n, n_types = amounts.shape
    squared = np.square(weights)
    aim = ((squared * values) @ profiles.T).T
    spread = np.moveaxis(covariance, 2, 0)
    largest = np.maximum(np.einsum("ntt->n", spread), 1e-300)[:, None, None]
    root = np.linalg.cholesky(spread + _RIDGE * largest * np.eye(n_types))
    drawn = np.einsum("nst,bnt->sbn", root, rng.standard_normal((N_SAMPLES, n, n_types)))
    moved = (aim[:, None, :] + drawn).reshape(n_types, -1)
    equations = NormalEquations(np.tile(gram_of(profiles, squared), (1, 1, N_SAMPLES)), moved)
    return solved(equations, np.tile(amounts, (N_SAMPLES, 1))).reshape(N_SAMPLES, n, n_types)
