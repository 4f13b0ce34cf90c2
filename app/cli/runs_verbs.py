"""`histoseek index runs`: what became of each ingest."""

from typing import Annotated

import typer

from app.cli.options import DEFAULT_DB, AsJson, Db
from app.cli.output import show
from app.tables.run import runs_table
from app.tables.view import TableView

Run = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="Id of a run or its first letters; `last` is the last.")
]
Newest = Annotated[int, typer.Option("-n", min=1, help="How many, the newest first.")]

_LAST = "last"


def register(verbs: typer.Typer) -> None:
    """Add the verb to `verbs`."""
    verbs.command("runs")(runs)


def runs(run: Run = None, *, newest: Newest = 20, db: Db = DEFAULT_DB, as_json: AsJson = False) -> None:
    """List the runs of ingest, or show what became of one: slides, failures, genes, licences, time."""
    from indexer.runs.reading import latest_runs, read_run
    from indexer.runs.summary import summary_text
    from indexer.store.card import read_card
    from indexer.store.location import locate

    location = locate(db)
    read_card(location)  # says so where there is no index
    found = latest_runs(location, 1 if run == _LAST else newest) if run in {None, _LAST} else []
    if run is None or (run == _LAST and not found):
        views: list[TableView | str] = [runs_table(found) if found else f"No ingest into {db} left a record."]
        show({"db": db, "runs": [one.model_dump(mode="json") for one in found]}, views, as_json=as_json)
        return
    one = found[0] if found else read_run(location, run)
    show({"db": db, "run": one.model_dump(mode="json")}, [summary_text(one)], as_json=as_json)
