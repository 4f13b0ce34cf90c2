"""`histoseek run`: a saved question, asked again."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import IndexOptions, Out, with_options
from app.cli.output import show
from app.cli.questions import open_engine, read_pixels
from app.cli.search_answers import write_out
from app.errors import ShowError
from app.exports.asked_hits import AskedHits
from app.exports.saved_queries import SavedQuery, read_saved_query
from app.exports.write import check_kind
from app.tables.analyses import cohorts_table, prediction_table
from app.tables.hits import hits_table, index_provenance
from app.tables.view import TableView
from search.engine import Engine
from search.expression.prediction import Prediction
from search.groups.cohorts import Cohorts
from search.result import Findings, SearchResult


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("run")(run)


@with_options(IndexOptions)
def run(
    file: Annotated[Path, typer.Argument(metavar="QUERY.yaml", help="Written by --out or by the app.")],
    *,
    out: Out = None,
    options: IndexOptions,
) -> None:
    """Ask a saved question again, of the same index or of another (--db)."""
    saved = read_saved_query(file)
    for path in out or ():
        check_kind(path)
    engine = open_engine(options)
    found = saved.ask(engine, read_file=read_pixels)
    if isinstance(found, SearchResult):
        write_out(AskedHits(engine, found, file.stem, saved.query(read_file=read_pixels)), out)
    elif out:
        raise ShowError(
            f"{file} asks for {saved.verb}, whose answer is no list of hits; leave --out away, or use --json."
        )
    show(found.to_dict(), [_table(found, saved, engine, file.stem)], as_json=options.as_json)


def _table(found: SearchResult | Findings, saved: SavedQuery, engine: Engine, name: str) -> TableView | str:
    provenance = index_provenance(engine)
    title = f"{name}: {saved.verb}"
    match found:
        case SearchResult():
            return hits_table(found, title=title, space=engine.space.card)
        case Prediction():
            return prediction_table(found, title=title, provenance=provenance)
        case Cohorts():
            return cohorts_table(found, title=title, provenance=provenance)
    return f"{title}: {len(found):,} rows; see them with --json."
