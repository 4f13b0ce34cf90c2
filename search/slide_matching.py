"""How alike two slides are by their prototypes: each prototype meets its best match, in proportion to its share."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from indexer.slide_aggregates import SlideAggregate

Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SlideMatch:
    """How two slides match.

    Attributes
    ----------
    score : float
        See `match_slides`.
    best : int64 (p,)
        For each prototype of the first slide, its best match on the second.
    cosines : float64 (p,)
        Cosine of the two.
    """

    score: float
    best: Rows
    cosines: Doubles


def match_slides(first: SlideAggregate, second: SlideAggregate) -> SlideMatch:
    """Mean over the tissue of both slides of the cosine of each prototype with its best match on the other.

    `(sum_i w_i max_j s_ij + sum_j v_j max_i s_ij) / 2` with the shares `w`, `v` and the cosines `s`: late interaction
    (Khattab & Zaharia, SIGIR 2020) made symmetric and weighted, a lower bound on the work that optimal transport of
    one slide onto the other leaves undone. Two means give their cosine.
    """
    cosines = first.vectors.astype(np.float64) @ second.vectors.T.astype(np.float64)
    there, back = cosines.max(axis=1), cosines.max(axis=0)
    score = (float(first.shares @ there) + float(second.shares @ back)) / 2
    return SlideMatch(score, cosines.argmax(axis=1).astype(np.int64), there)
