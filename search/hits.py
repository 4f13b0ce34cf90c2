"""From scored items to the table a user reads."""

from typing import Literal

import numpy as np
import pyarrow as pa

from encoders.contracts import Modality
from search.calibration import Significance
from search.catalogue import Catalogue, Rows
from search.errors import QueryError
from search.plan import Scored
from search.result import HITS_SCHEMA

GroupBy = Literal["slide", "patient"]


def pick(scored: Scored, catalogue: Catalogue, k: int, group_by: GroupBy | None) -> Rows:
    """Places of the first `k` hits in `scored`, int64; with `group_by` only the best hit of each slide or patient.

    Raises
    ------
    QueryError
        If k is below 1 or the grouping is not known.
    """
    if k < 1:
        raise QueryError(f"k is {k}; expected at least 1 hit.")
    if group_by is None:
        return np.arange(min(k, len(scored.rows)))
    if group_by not in ("slide", "patient"):
        raise QueryError(f"group_by={group_by!r} is not known; choose slide or patient.")
    groups = catalogue.column(group_by)[scored.rows]
    _, first = np.unique(groups.astype(str), return_index=True)
    return np.sort(first)[:k]


def hits_table(
    scored: Scored, places: Rows, significance: Significance, catalogue: Catalogue, modality: Modality
) -> pa.Table:
    """Hits with their provenance, `HITS_SCHEMA`, best first."""
    metadata = catalogue.table.take(pa.array(scored.rows[places]))
    n = len(places)
    columns = {
        "rank": np.arange(1, n + 1, dtype=np.int32),
        "score": scored.scores[places],
        "p_value": pa.nulls(n) if significance.p_values is None else significance.p_values[places],
        "fdr": pa.nulls(n) if significance.fdr is None else significance.fdr[places],
        "modality": [modality] * n,
    }
    columns |= {name: metadata.column(name) for name in metadata.column_names}
    arrays = [
        pa.chunked_array([pa.array(columns[f.name])])
        if not isinstance(columns[f.name], pa.ChunkedArray)
        else columns[f.name]
        for f in HITS_SCHEMA
    ]
    return pa.table([array.cast(f.type) for array, f in zip(arrays, HITS_SCHEMA, strict=True)], schema=HITS_SCHEMA)
