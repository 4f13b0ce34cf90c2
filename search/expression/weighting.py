"""How much each neighbour counts: the modes of a prediction, as weights of descending or unordered cosines."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats
from search.errors import QueryError
from search.profiles import Doubles

Mode = Literal["softmax", "mean50", "raw", "mean", "ridge"]
MODES: tuple[Mode, ...] = ("softmax", "mean50", "raw", "mean", "ridge")
#: Modes that weigh neighbours; the others do not look at who is near.
NEIGHBOURS: tuple[Mode, ...] = ("softmax", "mean50", "raw")
TEMPERATURE = 0.1  # cosine difference over which a weight falls by a factor e, where none could be fitted
PREDICTION_K = 500  # neighbours in mode softmax, where their number could not be fitted
_MEAN_K = 50  # BLEEP's number of neighbours
_TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Weighting:
    """A mode with its settings; k and temperature are those of `softmax`."""

    mode: Mode = "softmax"
    k: int = PREDICTION_K
    temperature: float = TEMPERATURE

    @property
    def n_wanted(self) -> int:
        """Neighbours averaged, if there are so many; all in mode `raw`."""
        return _MEAN_K if self.mode == "mean50" else self.k

    def of_many(self, scores: npt.NDArray[np.float32]) -> Floats:
        """Weights of a gallery for many queries, float32 like `scores (n_queries, n_gallery)`; each row sums to 1.

        Those of a query whose raw cosines sum to nothing, or less, are NaN; see `check_total`.
        """
        if self.mode == "raw":
            total = scores.sum(axis=1, dtype=np.float64)
            total[total < _TINY * scores.shape[1]] = np.nan
            return np.asarray(scores / total[:, None], dtype=np.float32)
        n = scores.shape[1]
        k = min(self.n_wanted, n)
        last = np.partition(scores, n - k, axis=1)[:, n - k, None]
        if self.mode == "mean50":
            weights = (scores >= last).astype(np.float32)
        else:
            weights = np.exp((scores - scores.max(axis=1, keepdims=True)) / np.float32(self.temperature))
            weights[scores < last] = 0.0
        return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def weights_of(scores: Doubles, k: int, mode: Mode, temperature: float = TEMPERATURE) -> Doubles:
    """Weights of the neighbours that a mode averages over, float64, of descending `scores`; they sum to 1.

    Raises
    ------
    QueryError
        If the raw cosines cancel out.
    """
    if mode == "raw":
        total = float(scores.sum())
        check_total(total, len(scores))
        return np.asarray(scores / total)
    scores = scores[: _MEAN_K if mode == "mean50" else k]
    heat = np.zeros_like(scores) if mode == "mean50" else (scores - scores[0]) / temperature
    weights = np.exp(heat)
    return np.asarray(weights / weights.sum())


def check_total(total: float, n: int) -> None:
    """Raise `QueryError` unless raw cosines have a sum to divide by; a negative one would turn the answer over."""
    if total < _TINY * n:
        raise QueryError(
            f"The cosines of the query with {n:,} items sum to {total:.3g}, and mode 'raw' divides by that sum: at "
            "zero it has no weights, and below it what is unlike the query would count for it. Use 'softmax'."
        )
