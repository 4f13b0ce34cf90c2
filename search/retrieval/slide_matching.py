"""How alike two slides are by their prototypes: tissue moved onto tissue, or each part onto its best match."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from indexer.store.aggregates import SlideAggregate
from search.errors import QueryError

Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Match = Literal["transport", "best"]

_SOFTNESS = 0.05  # of the plan, in units of cosine
_ITERATIONS = 200


@dataclass(frozen=True, slots=True)
class SlideMatch:
    """How two slides match.

    Attributes
    ----------
    score : float
        See `match_slides`; a cosine where both are one vector.
    partner : int64 (p,)
        For each prototype of the first slide, the one of the second it goes to most.
    cosines : float64 (p,)
        Cosine of the two.
    """

    score: float
    partner: Rows
    cosines: Doubles


def match_slides(first: SlideAggregate, second: SlideAggregate, how: Match = "transport") -> SlideMatch:
    """Compare two slides by their prototypes, with cosines `s` and shares `w`, `v`.

    `transport` is the mean cosine of all tissue of one slide with the tissue of the other it is moved onto, each part
    taking as much as its share: `sum_ij t_ij s_ij` for the plan `t` that entropic optimal transport finds (Cuturi,
    NIPS 2013). It asks for the same tissue in the same proportions.

    `best` lets each part meet its best match, whatever the other's share:
    `(sum_i w_i max_j s_ij + sum_j v_j max_i s_ij) / 2`, late interaction (Khattab & Zaharia, SIGIR 2020) made symmetric
    and weighted. It asks whether the same tissue is there, and finds sections of one block (`docs/slides.md`).

    Raises
    ------
    QueryError
        If `how` is neither.
    """
    cosines = first.vectors.astype(np.float64) @ second.vectors.T.astype(np.float64)
    if how == "transport":
        plan = _plan(cosines, first.shares.astype(np.float64), second.shares.astype(np.float64))
        score, partner = float((plan * cosines).sum()), plan.argmax(axis=1)
    elif how == "best":
        score = (float(first.shares @ cosines.max(axis=1)) + float(second.shares @ cosines.max(axis=0))) / 2
        partner = cosines.argmax(axis=1)
    else:
        raise QueryError(f"match={how!r} is not known; choose transport or best.")
    return SlideMatch(score, partner.astype(np.int64), cosines[np.arange(len(cosines)), partner])


def _plan(cosines: Doubles, shares: Doubles, other_shares: Doubles) -> Doubles:
    """How much of each part goes to each, float64 `(p, q)` with the shares as sums of rows and columns."""
    shares, other_shares = shares / shares.sum(), other_shares / other_shares.sum()
    kernel = np.exp((cosines - 1) / _SOFTNESS)
    rows = np.ones(len(shares))
    for _ in range(_ITERATIONS):
        columns = other_shares / (kernel.T @ rows)
        rows = shares / (kernel @ columns)
    plan: Doubles = rows[:, None] * kernel * columns
    return plan
