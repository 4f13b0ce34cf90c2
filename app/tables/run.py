"""Runs of an ingest as tables."""

from collections.abc import Sequence

from app.tables.view import Column, TableView, text
from indexer.runs.record import RunRecord


def runs_table(runs: Sequence[RunRecord]) -> TableView:
    """Runs of an index, a run on a line."""
    names = ("added", "replaced", "skipped", "failed")
    rows = [
        (
            run.id,
            run.state,
            run.started_at,
            *(f"{count:,}" for count in run.counts.values()),
            f"{run.n_asked:,}",
            str(len(run.leaks)),
            text(run.error),
        )
        for run in runs
    ]
    columns = (
        Column("run"),
        Column("state"),
        Column("started"),
        *(Column(name, "right") for name in names),
        Column("of slides", "right"),
        Column("leaks", "right"),
        Column("ended with", wrap=True),
    )
    return TableView(
        title="Runs", columns=columns, rows=rows, caption="`histoseek index runs RUN` shows the report of one."
    )
