"""What a search returns: hits as an Arrow table, with the plan that found them and what the user should know."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from encoders.contracts import GeneReport
from indexer.schema import ITEM_METADATA

if TYPE_CHECKING:
    import pandas as pd

HITS_SCHEMA = pa.schema(
    [
        pa.field("rank", pa.int32(), nullable=False),  # 1-based
        pa.field("score", pa.float32(), nullable=False),  # cosine, higher is better
        pa.field("p_value", pa.float32()),  # against the space's mismatched pairs
        pa.field("fdr", pa.float32()),  # Benjamini-Hochberg over all items compared
        pa.field("modality", pa.string(), nullable=False),  # the side of the item that was compared
        *ITEM_METADATA,
    ]
)

#: Values of each field of `HITS_SCHEMA`, best hit first.
HitColumns = dict[str, Sequence[Any] | pa.Array]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a search ran: `exact` or `ann`, rows allowed by the filters, rows scored, milliseconds by stage.

    With `explain` also why that plan was chosen, what was scanned, and why the search stopped.
    """

    strategy: str
    n_allowed: int
    n_scored: int
    stage_ms: dict[str, float]
    explained: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """Answer of an analysis; each verb has its own, with its columns and figures.

    Attributes
    ----------
    table : pyarrow.Table
        One row a gene, cell type, group or place.
    query : dict
        What was asked, JSON-ready.
    notes : tuple of str
        Sentences the user should read.
    """

    table: pa.Table
    query: dict[str, Any]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def to_pandas(self) -> "pd.DataFrame":
        """The table as a data frame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form: query, notes, the figures of this analysis and its rows."""
        figures = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("table", "query", "notes")}
        return {"query": self.query, "notes": list(self.notes), **figures, "rows": self.table.to_pylist()}


@dataclass(frozen=True)
class SearchResult:
    """Hits and where they come from.

    Attributes
    ----------
    columns : dict
        Values of each field of `HITS_SCHEMA`, best hit first.
    query : dict
        What was asked, ready to be saved and asked again.
    plan : Plan
        How it was answered.
    genes : GeneReport or None
        For gene queries: used, unknown and truncated genes.
    notes : tuple of str
        Sentences the user should read, such as what was excluded and whether anything similar was found.
    """

    columns: HitColumns
    query: dict[str, Any]
    plan: Plan
    genes: GeneReport | None = None
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.columns["rank"])

    @cached_property
    def table(self) -> pa.Table:
        """`HITS_SCHEMA`, best hit first."""
        return pa.Table.from_arrays(
            [_array(self.columns[field.name], field.type) for field in HITS_SCHEMA], schema=HITS_SCHEMA
        )

    def to_list(self) -> list[dict[str, Any]]:
        """Hits as dictionaries, best first; quicker than by the table where there are few."""
        columns = {name: _plain(self.columns[name]) for name in HITS_SCHEMA.names}
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def to_pandas(self) -> "pd.DataFrame":
        """Hits as a data frame, best first."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form: query, notes, genes, plan and hits."""
        return {
            "query": self.query,
            "notes": list(self.notes),
            "genes": None
            if self.genes is None
            else {
                "used": list(self.genes.used),
                "unknown": list(self.genes.unknown),
                "truncated": list(self.genes.truncated),
            },
            "plan": {
                "strategy": self.plan.strategy,
                "n_allowed": self.plan.n_allowed,
                "n_scored": self.plan.n_scored,
                "stage_ms": self.plan.stage_ms,
            }
            | ({} if self.plan.explained is None else {"explained": self.plan.explained}),
            "hits": self.to_list(),
        }


def _array(values: Sequence[Any] | pa.Array, kind: pa.DataType) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


def _plain(values: Sequence[Any] | pa.Array) -> Sequence[Any]:
    return list(values.to_pylist()) if isinstance(values, pa.Array) else values
