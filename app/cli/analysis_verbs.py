"""`histoseek decompose`: what the hits of a query say of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from app.analysis_tables import composition_table
from app.cell_types import DEFAULT_LABEL, parse_merge, reference_of_index
from app.cli.options import Label, LeftOut, Merge, Where, reference_file, with_options
from app.cli.output import show
from app.cli.questions import QueryOptions, open_engine
from app.hit_tables import index_provenance
from search.cells.composition import Manner, Source
from search.cells.decomposition import Method, ShareOf

K = Annotated[int | None, typer.Option("-k", min=1, help="Hits to read; the analysis has its own default.")]


@dataclass(frozen=True, slots=True)
class AnalysisOptions(QueryOptions):
    """The query, and what may answer."""

    k: K = None
    where: Where = None
    exclude: LeftOut = "auto"


def register(command: typer.Typer) -> None:
    """Add the verbs to `command`."""
    for verb in (decompose,):
        command.command(verb.__name__)(verb)


@with_options(AnalysisOptions)
def decompose(
    *,
    reference: Annotated[
        Path | None, typer.Option("--reference", help="Labelled cells (.h5ad); default: the cells of the index.")
    ] = None,
    label: Label = DEFAULT_LABEL,
    merge: Merge = None,
    source: Annotated[Source, typer.Option("--source", help="Own counts, or those of the hits.")] = "auto",
    method: Annotated[Method, typer.Option("--method", help="How genes are weighted.")] = "reweighted",
    of: Annotated[ShareOf, typer.Option("--of", help="Shares of the cells, or of the RNA.")] = "cells",
    options: AnalysisOptions,
) -> None:
    """Tell the cell types of a query, from its own counts or from those of its hits."""
    query, given = options.query, reference_file(reference, label, merge)
    engine = open_engine(options)
    cells = given.read() if given else reference_of_index(engine, merge=dict(parse_merge(merge or ())))
    found = engine.decompose(
        query,
        cells,
        source=source,
        manner=Manner(method=method, of=of),
        k=options.k or 50,
        where=options.where,
        exclude=options.exclude,
    )
    table = composition_table(found, title=f"Cell types of {options.asked}", provenance=index_provenance(engine))
    show(found.to_dict(), [table], as_json=options.as_json)
