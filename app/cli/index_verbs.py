"""`histoseek index stats | verify`; the other `index` verbs have files of their own."""

import typer

from app.cli import runs_verbs, safety_verbs, tuning_verbs, upkeep_verbs
from app.cli.options import DEFAULT_DB, AsJson, Db
from app.cli.output import FAILED, show
from app.cli.progress import bars
from app.tables.index import card_lines, cohorts_held_table, failed_table, index_summary, slides_table, storage_lines
from app.tables.view import TableView


def register(command: typer.Typer) -> None:
    """Add the verbs to `command`."""
    verbs = typer.Typer(help="Look into an index, keep it in order.", no_args_is_help=True)
    verbs.command("stats")(stats)
    verbs.command("verify")(verify)
    runs_verbs.register(verbs)
    safety_verbs.register(verbs)
    upkeep_verbs.register(verbs)
    tuning_verbs.register(verbs)
    command.add_typer(verbs, name="index")


def stats(*, db: Db = DEFAULT_DB, as_json: AsJson = False) -> None:
    """Say what an index holds: its space, slides, items, licences and failures."""
    from indexer.index import Index

    index = Index.open(db)
    views: list[TableView | str] = [
        *card_lines(index.card),
        *storage_lines(index),
        cohorts_held_table(index),
        slides_table(index),
    ]
    if index.failed().num_rows:
        views.append(failed_table(index.failed()))
    show(index_summary(index), views, as_json=as_json)


def verify(*, db: Db = DEFAULT_DB, as_json: AsJson = False) -> None:
    """Check an index: tables against its card, and the vector sidecars against the tables."""
    from app.index_check import check_index

    with bars() as progress, progress.working("verify"):
        checks = check_index(db)
    passed = all(row.passed for row in checks)
    lines = [f"{row.what}: {'ok' if row.passed else 'FAILED'} ({row.found})" for row in checks]
    show({"db": db, "passed": passed, "checks": checks}, lines, as_json=as_json)
    if not passed:
        raise typer.Exit(FAILED)
