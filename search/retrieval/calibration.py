"""What a score is worth: its tail probability among pairs that do not belong together, and a false-discovery rate."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats
from encoders.space import Calibration

RESEMBLES_FDR = 0.1  # a hit below this false-discovery rate stands out from pairs that do not belong together
RESEMBLES_P = 0.05  # if not even one hit is as unlikely as this on its own, nothing resembles the query
_NULL_NAMES = {
    "genes": "short gene lists",
    "sentence": "gene sentences",
    "slide": "whole slides",
    "composed": "composed queries",
}


@dataclass(frozen=True, slots=True)
class Significance:
    """p-values and false-discovery rates of scored items, in their order; `None` where the space has no null."""

    p_values: Floats | None
    fdr: Floats | None
    notes: tuple[str, ...]


def tail_probabilities(scores: Floats, calibration: Calibration, key: str) -> Floats:
    """Probability that a pair that does not belong together scores at least as high.

    The empirical distribution is read off the card's quantiles by linear interpolation. It is never 0: no tail is
    known below one pair in `n_pairs + 1`.

    Parameters
    ----------
    scores : float32 (n,)
        Cosines.
    calibration : Calibration
        Null of the space.
    key : str
        `query->target`, a key of `calibration.quantiles`.

    Returns
    -------
    float32 (n,)
    """
    below = np.interp(scores, calibration.quantiles[key], calibration.probabilities, left=0.0, right=1.0)
    return np.maximum(1.0 - below, 1.0 / (calibration.n_pairs + 1)).astype(np.float32)


def benjamini_hochberg(p_values: npt.NDArray[np.floating], n_tests: int | None = None) -> Floats:
    """False-discovery rates of Benjamini and Hochberg (1995), float32, in the order given.

    Parameters
    ----------
    p_values : float (n,)
        The smallest p-values of the family, in any order.
    n_tests : int, optional
        Size of the family if it is larger than the list; the rates are then upper bounds.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * (n_tests or len(p)) / np.arange(1, len(p) + 1)
    rates = np.empty_like(p)
    rates[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return rates.astype(np.float32)


def significance_of_many(
    scores: Floats, n_compared: npt.NDArray[np.integer], calibration: Calibration, key: str
) -> tuple[Floats, Floats] | None:
    """p-values and false-discovery rates of many searches at once; `None` where the space has no null.

    Parameters
    ----------
    scores : float32 (q, m)
        Cosines of each search, descending; -inf where there are no more.
    n_compared : int (q,)
        Items that each search compared.

    Returns
    -------
    float32 (q, m), float32 (q, m)
        As `significance` gives them for each search.
    """
    if key not in calibration.quantiles:
        return None
    p_values = tail_probabilities(scores, calibration, key)
    scaled = p_values.astype(np.float64) * n_compared[:, None] / np.arange(1, scores.shape[1] + 1)
    scaled[np.isneginf(scores)] = np.inf
    rates = np.minimum(np.minimum.accumulate(scaled[:, ::-1], axis=1)[:, ::-1], 1.0)
    return p_values, rates.astype(np.float32)


def significance(scores: Floats, n_compared: int, calibration: Calibration, key: str) -> Significance:
    """Calibrate the scores of a search.

    The false-discovery rate counts all items that were compared, not only the hits shown: the best ten of ten
    thousand are high by selection alone, and a rate over the ten would call them all discoveries.
    """
    if key not in calibration.quantiles:
        source = key.split("->", maxsplit=1)[0]
        name = _NULL_NAMES.get(source, f"{key} pairs")
        return Significance(None, None, (f"The space has no null distribution for {name}: scores carry no p-value.",))
    return significance_of_p(tail_probabilities(scores, calibration, key), n_compared)


def significance_of_p(p_values: Floats, n_compared: int) -> Significance:
    """False-discovery rates of the hits of a search among all items compared, and what they say together."""
    fdr = benjamini_hochberg(p_values, n_compared)
    return Significance(p_values, fdr, _verdict(p_values, fdr, n_compared))


def _verdict(p_values: Floats, fdr: Floats, n_compared: int) -> tuple[str, ...]:
    if not len(fdr) or fdr.min() < RESEMBLES_FDR:
        return ()
    if p_values.min() > RESEMBLES_P:
        message = (
            f"Nothing in this index resembles the query: the best score of {n_compared:,} items compared is reached by "
            f"{p_values.min():.0%} of pairs that do not belong together."
        )
    else:
        message = (
            f"No single hit stands out: among {n_compared:,} items compared the lowest false-discovery rate is "
            f"{fdr.min():.2g} (below {RESEMBLES_FDR:g} would). Read what the hits share rather than any one of them."
        )
    return (message,)
