"""`histoseek cohorts | mixing`: the groups a query sits nearest to, and whether neighbours share a site."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import IndexOptions, Kind, LeftOut, Where, with_options
from app.cli.output import say, show
from app.cli.questions import QueryOptions, open_engine
from app.tables.analyses import cohorts_table
from app.tables.groups import mixing_table
from app.tables.hits import index_provenance
from encoders.contracts import Modality
from search.groups.cohorts import By
from search.groups.mixing import Label, MixingQuestion, Site

K = Annotated[int | None, typer.Option("-k", min=1, help="Hits to count; by default 100, at most a quarter.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write a picture: .png, .svg or .pdf.")]


@dataclass(frozen=True, slots=True)
class CohortOptions(QueryOptions):
    """The query, and what may answer."""

    k: K = None
    where: Where = None
    exclude: LeftOut = "auto"


def register(command: typer.Typer) -> None:
    """Add the verbs to `command`."""
    for verb in (cohorts, mixing):
        command.command(verb.__name__)(verb)


@with_options(CohortOptions)
def cohorts(
    *,
    by: Annotated[By, typer.Option("--by", help="Column to group by.")] = "cohort",
    out: Out = None,
    options: CohortOptions,
) -> None:
    """Tell which cohorts, diagnoses or patients a query sits nearest to, tested over patients."""
    query, engine = options.query, open_engine(options)
    found = engine.cohorts(query, by=by, k=options.k, where=options.where, exclude=options.exclude)
    title = f"Nearest to {options.asked}, by {by}"
    if out is not None:
        from app.figures.groups import cohorts_figure
        from app.figures.style import save

        say(f"Written: {save(cohorts_figure(found, engine, title=title), out)}")
    table = cohorts_table(found, title=title, provenance=index_provenance(engine))
    show(found.to_dict(), [table], as_json=options.as_json)


@with_options(IndexOptions)
def mixing(
    *,
    site: Annotated[Site, typer.Option("--site", help="What should not matter.")] = "cohort",
    label: Annotated[
        Label | None, typer.Option("--label", help="What may matter; by default the first column that varies.")
    ] = None,
    target: Annotated[Modality, typer.Option("--target", help="The side compared.")] = "expression",
    kind: Kind = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Neighbours of each item.")] = 10,
    where: Where = None,
    out: Out = None,
    options: IndexOptions,
) -> None:
    """Tell whether neighbours share a site (cohort, technology, patient) beyond what their biology explains."""
    engine = open_engine(options)
    found = engine.mixing(MixingQuestion(site, label, target, kind, k, where))
    if out is not None:
        from app.figures.groups import mixing_figure
        from app.figures.style import save

        say(f"Written: {save(mixing_figure(found, engine), out)}")
    show(found.to_dict(), [mixing_table(found, provenance=index_provenance(engine))], as_json=options.as_json)
