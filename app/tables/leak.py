"""Leaks of an index as a table."""

from collections.abc import Sequence

from app.tables.view import Column, TableView
from indexer.safety.leaks import Leak


def leaks_table(leaks: Sequence[Leak]) -> TableView:
    """Leaks, one on a line."""
    rows = [
        (leak.kind, ", ".join(leak.slides), ", ".join(leak.patients), "yes" if leak.crosses else "no", leak.evidence)
        for leak in leaks
    ]
    columns = (
        Column("what"),
        Column("slides", wrap=True),
        Column("patients", wrap=True),
        Column("crosses patients"),
        Column("evidence", wrap=True),
    )
    return TableView(
        title="Leaks",
        columns=columns,
        rows=rows,
        caption="What crosses patients makes figures of `evaluate` better than they are: give the slides one patient "
        "in the table of slides, or delete one of them (`histoseek index delete --slide NAME`).",
    )
