"""Enrichment tests whose unit is the patient: the items of one patient are never counted as independent."""

import itertools
import math

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

_EXACT = 20_000  # arrangements enumerated at most; beyond that they are drawn
_DRAWS = 9_999
_SEED = 0
_CLOSE = 1e-9  # sums of the same numbers in another order


def label_permutation(hits: Counts, member: npt.NDArray[np.bool_]) -> float | None:
    """Probability that a group drawn at random among patients, of the same number of patients, holds as many hits.

    All hits of a patient move together. The draws are enumerated where there are at most 20,000, else 9,999 are drawn
    with a fixed seed and the observed one is counted in (Phipson and Smyth, 2010).

    Parameters
    ----------
    hits : int64 (n_patients,)
        Hits of each patient.
    member : bool (n_patients,)
        Patients of the group.

    Returns
    -------
    float or None
        One-sided p-value; `None` if the group holds all patients or none, so that nothing can be permuted.
    """
    n, size = len(hits), int(member.sum())
    if size in (0, n):
        return None
    observed = int(hits[member].sum())
    if math.comb(n, size) <= _EXACT:
        sums = np.array([int(hits[list(drawn)].sum()) for drawn in itertools.combinations(range(n), size)])
        return float(np.mean(sums >= observed))
    random = np.random.default_rng(_SEED)
    sums = np.array([int(hits[random.permutation(n)[:size]].sum()) for _ in range(_DRAWS)])
    return float((1 + np.sum(sums >= observed)) / (1 + _DRAWS))


def sign_flip(excess: Doubles) -> float | None:
    """Probability of as high a summed excess if each patient's excess were as likely negative as positive.

    For labels that vary within patients (regions of a section), where labels cannot be permuted over patients.
    Enumerated up to 14 patients, else drawn as in `label_permutation`.

    Parameters
    ----------
    excess : float64 (n_patients,)
        Hits in the group less those expected from the patient's own items; patients without hits are left out.

    Returns
    -------
    float or None
        One-sided p-value; `None` if no patient has an excess or a lack.
    """
    moved = excess[np.abs(excess) > _CLOSE]
    if not len(moved):
        return None
    if 2 ** len(moved) <= _EXACT:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(moved))))
        return float(np.mean(signs @ moved >= moved.sum() - _CLOSE))
    signs = np.random.default_rng(_SEED).choice([-1.0, 1.0], size=(_DRAWS, len(moved)))
    return float((1 + np.sum(signs @ moved >= moved.sum() - _CLOSE)) / (1 + _DRAWS))
