"""`histoseek explain`: why an item is a hit of a query."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import with_options
from app.cli.output import say, show
from app.cli.questions import QueryOptions, open_engine
from app.tables.explanation import explanation_tables
from app.tables.hits import index_provenance
from encoders.contracts import Modality


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("explain")(explain)


@with_options(QueryOptions)
def explain(
    hit: Annotated[str, typer.Argument(metavar="HIT", help="Id of the hit, such as C3/spot/21x10.")],
    *,
    target: Annotated[Modality | None, typer.Option("--target", help="Side of the hit that is compared.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write a picture: .png, .svg or .pdf.")] = None,
    options: QueryOptions,
) -> None:
    """Tell why an item is a hit of a query: genes that make the score, squares of the pictures, labelled examples."""
    query, engine = options.query, open_engine(options)
    found = engine.explain(query, hit, target=target)
    if out is not None:
        from app.figures.explanation import explanation_figure
        from app.figures.style import save

        say(f"Written: {save(explanation_figure(found, engine, query, asked=options.asked), out)}")
    tables = explanation_tables(found, asked=options.asked, provenance=index_provenance(engine))
    show(found.to_dict(), tables, as_json=options.as_json)
