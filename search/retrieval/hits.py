"""From scored items to the hits a user reads."""

from typing import Literal

import numpy as np

from encoders.contracts import Floats, Modality
from indexer.vectors.columns import FEW_ROWS
from search.catalogue import Catalogue, Rows
from search.errors import QueryError
from search.result import HitColumns
from search.retrieval.calibration import Significance
from search.retrieval.plan import Scored

GroupBy = Literal["slide", "patient"]


def pick(scored: Scored, catalogue: Catalogue, k: int, group_by: GroupBy | None, per_group: int = 1) -> Rows:
    """Places of the first `k` hits in `scored`, int64; with `group_by` the best `per_group` of the best `k` groups.

    Raises
    ------
    QueryError
        If the grouping is not known.
    """
    if group_by is None:
        return np.arange(min(k, len(scored.rows)))
    if group_by not in ("slide", "patient"):
        raise QueryError(f"group_by={group_by!r} is not known; choose slide or patient.")
    groups = catalogue.codes(group_by)[0][scored.rows]
    _, first, which = np.unique(groups, return_index=True, return_inverse=True)
    order = np.argsort(which, kind="stable")  # the hits of a group one after the other, best first
    starts = np.concatenate([[0], np.cumsum(np.bincount(which, minlength=len(first)))])[:-1]
    place_in_group = np.empty(len(which), dtype=np.int64)
    place_in_group[order] = np.arange(len(which)) - starts[which[order]]
    best = np.argsort(np.argsort(first))  # rank of each group by its best hit
    return np.flatnonzero((place_in_group < per_group) & (best[which] < k))


def hits_columns(
    scored: Scored,
    places: Rows,
    significance: Significance,
    catalogue: Catalogue,
    modality: Modality,
    *,
    first_rank: int = 1,
) -> HitColumns:
    """Hits with their provenance, a column for each field of `HITS_SCHEMA`, best first."""
    n, rows = len(places), scored.rows[places]
    columns = catalogue.index.columns
    return {
        "rank": list(range(first_rank, first_rank + n)),
        "score": scored.scores[places].tolist(),
        "p_value": _or_nulls(significance.p_values, places),
        "fdr": _or_nulls(significance.fdr, places),
        "modality": [modality] * n,
        **(columns.values(rows) if n <= FEW_ROWS else columns.take(rows)),
    }


def _or_nulls(values: Floats | None, places: Rows) -> list[float | None]:
    return [None] * len(places) if values is None else list(values[places].tolist())
