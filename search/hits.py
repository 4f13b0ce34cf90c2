"""From scored items to the table a user reads."""

from typing import Literal

import numpy as np
import pyarrow as pa

from encoders.contracts import Floats, Modality
from search.calibration import Significance
from search.catalogue import Catalogue, Rows
from search.errors import QueryError
from search.plan import Scored
from search.result import HITS_SCHEMA

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


def hits_table(
    scored: Scored,
    places: Rows,
    significance: Significance,
    catalogue: Catalogue,
    modality: Modality,
    *,
    first_rank: int = 1,
) -> pa.Table:
    """Hits with their provenance, `HITS_SCHEMA`, best first."""
    n = len(places)
    columns: dict[str, pa.Array] = {
        "rank": pa.array(np.arange(first_rank, first_rank + n, dtype=np.int32)),
        "score": pa.array(scored.scores[places]),
        "p_value": _or_nulls(significance.p_values, places),
        "fdr": _or_nulls(significance.fdr, places),
        "modality": pa.array([modality] * n, pa.string()),
        **catalogue.index.columns.take(scored.rows[places]),
    }
    return pa.Table.from_arrays([columns[field.name] for field in HITS_SCHEMA], schema=HITS_SCHEMA)


def _or_nulls(values: Floats | None, places: Rows) -> pa.Array:
    return pa.nulls(len(places), pa.float32()) if values is None else pa.array(values[places])
