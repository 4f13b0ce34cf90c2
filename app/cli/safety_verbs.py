"""`histoseek index leaks`: slides and patients that an index holds twice."""

import typer

from app.cli.options import DEFAULT_DB, AsJson, Db
from app.cli.output import jsonable, show
from app.cli.progress import bars
from app.tables.leak import leaks_table
from app.tables.view import TableView


def register(verbs: typer.Typer) -> None:
    """Add the verb to `verbs`."""
    verbs.command("leaks")(leaks)


def leaks(*, db: Db = DEFAULT_DB, as_json: AsJson = False) -> None:
    """Find slides that are there twice, turned, mirrored or cropped, and patients who are in two cohorts."""
    from indexer.index import Index
    from indexer.safety.leaks import find_leaks

    index = Index.open(db)
    with bars() as progress:
        found = find_leaks(index, progress=progress)
    none = f"No slide of {db} was found twice, and no patient in two cohorts ({index.card.n_slides} slides)."
    views: list[TableView | str] = [leaks_table(found) if found else none]
    show({"db": db, "n_slides": index.card.n_slides, "leaks": jsonable(found)}, views, as_json=as_json)
