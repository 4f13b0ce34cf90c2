"""Non-negative least squares of many rows at once."""

from typing import NamedTuple

import numpy as np

from search.profiles import Doubles

_MOST_SWEEPS = 1_000
_ENOUGH = 1e-8  # change of a sweep, as a share of the largest amount of the row


class NormalEquations(NamedTuple):
    """Of `n` rows: `gram` float64 `(n_types, n_types, n)` and `aim` float64 `(n_types, n)`."""

    gram: Doubles
    aim: Doubles


def nonnegative(profiles: Doubles, values: Doubles, weights: Doubles, start: Doubles | None = None) -> Doubles:
    """Solve `min_a |w (a P - y)|` with `a >= 0` for each row.

    Parameters
    ----------
    profiles : float64 (n_types, n_genes)
        `P`.
    values : float64 (n, n_genes)
        `y` of each row.
    weights : float64 (n, n_genes) or (n_genes,)
        `w` of each row, or of all.
    start : float64 (n, n_types), optional
        Where to start, such as the solution with nearby weights.

    Returns
    -------
    float64 (n, n_types)
    """
    squared = np.broadcast_to(np.square(weights), values.shape)
    equations = NormalEquations(gram_of(profiles, squared), ((squared * values) @ profiles.T).T)
    return solved(equations, start)


def gram_of(profiles: Doubles, weights: Doubles) -> Doubles:
    """Weighted products of each two profiles, `sum_g w_g p_ag p_bg`, for each row of weights `(n, n_genes)`."""
    n_types = len(profiles)
    left, right = np.triu_indices(n_types)
    products = weights @ (profiles[left] * profiles[right]).T
    gram = np.empty((n_types, n_types, len(weights)))
    gram[left, right] = gram[right, left] = products.T
    return gram


def solved(equations: NormalEquations, start: Doubles | None = None) -> Doubles:
    """Solve normal equations with `a >= 0`, by cyclic coordinate descent.

    One coordinate is set to its best value, or 0, with the others held, for all rows together, in turn until nothing
    moves (Franc, Hlavac & Navara, CAIP 2005). The problem is convex, so this is the least-squares solution; many rows
    of few unknowns are solved a hundred times as fast as one by one.

    Returns
    -------
    float64 (n, n_types)
    """
    gram, aim = equations
    n_types, n = aim.shape
    diagonal = gram[np.arange(n_types), np.arange(n_types)]
    step = np.divide(1.0, diagonal, out=np.zeros_like(diagonal), where=diagonal > 0)
    amounts = np.zeros((n_types, n)) if start is None else start.T.copy()
    for _ in range(_MOST_SWEEPS):
        moved = np.zeros(n)
        for t in range(n_types):
            best = np.maximum(amounts[t] + (aim[t] - np.einsum("tn,tn->n", gram[t], amounts)) * step[t], 0.0)
            moved = np.maximum(moved, np.abs(best - amounts[t]))
            amounts[t] = best
        if (moved <= _ENOUGH * amounts.max(axis=0, initial=0.0)).all():
            break
    return np.ascontiguousarray(amounts.T)
