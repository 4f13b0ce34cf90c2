"""Parts of slides, and the aggregators that make them, as tables."""

from collections.abc import Sequence
from typing import Any

from app.tables.view import NONE, Column, TableView, number
from encoders.aggregators import AggregatorStatus
from search.engine import Engine
from search.result import SearchResult
from search.retrieval.slide_parts import SlideParts


def parts_of_hits(engine: Engine, slide: str, result: SearchResult) -> list[SlideParts]:
    """Which part of a slide matched which part of each hit; none where slides are compared by their means."""
    query = result.query
    if "aggregator" not in query:
        return []
    others = result.table.column("slide").to_pylist()
    return [engine.slide_parts(slide, other, using=query["using"], match=query["match"]) for other in others]


def parts_table(parts: SlideParts) -> TableView:
    """Parts of a slide beside their best matches on another."""
    rows = [
        (
            f"{row['share']:.0%}",
            row["item"] or NONE,
            number(row["cosine"]),
            row["other_item"] or NONE,
            f"{row['other_share']:.0%}",
        )
        for row in parts.table.to_pylist()
    ]
    return TableView(
        title=f"Parts of {parts.slide} and what they match on {parts.other}",
        columns=(
            Column("share", "right"),
            Column("shown by"),
            Column("cosine", "right"),
            Column("matches"),
            Column("share there", "right"),
        ),
        rows=rows,
        caption=" ".join(parts.notes),
    )


def aggregator_row(status: AggregatorStatus) -> dict[str, Any]:
    """What `histoseek encoders --json` says of one aggregator."""
    return {"name": status.name, "what": status.what, "state": status.state, "hint": status.hint}


def aggregators_table(statuses: Sequence[AggregatorStatus]) -> TableView:
    """Every aggregator on a line."""
    return TableView(
        title="Slide aggregators",
        columns=(Column("aggregator"), Column("state"), Column("a slide is", wrap=True)),
        rows=[(status.name, status.state, status.what) for status in statuses],
        caption=" ".join(("`histoseek ingest --aggregator NAME`.", *(s.hint for s in statuses if s.hint))),
    )
