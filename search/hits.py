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


def pick(scored: Scored, catalogue: Catalogue, k: int, group_by: GroupBy | None) -> Rows:
    """Places of the first `k` hits in `scored`, int64; with `group_by` only the best hit of each slide or patient.

    Raises
    ------
    QueryError
        If the grouping is not known.
    """
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
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "rank": pa.array(np.arange(1, n + 1)),
        "score": pa.array(scored.scores[places]),
        "p_value": _or_nulls(significance.p_values, places),
        "fdr": _or_nulls(significance.fdr, places),
        "modality": pa.array([modality] * n, pa.string()),
    }
    columns |= {name: metadata.column(name) for name in metadata.column_names}
    return pa.table([columns[field.name].cast(field.type) for field in HITS_SCHEMA], schema=HITS_SCHEMA)


def _or_nulls(values: Floats | None, places: Rows) -> pa.Array:
    return pa.nulls(len(places)) if values is None else pa.array(values[places])
