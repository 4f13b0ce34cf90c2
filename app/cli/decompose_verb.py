"""`histoseek decompose`: the cell types of a query, or of every place of a slide."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cell_types import DEFAULT_LABEL, ReferenceFile, cell_vectors, parse_merge, reference_of_index
from app.cli.analysis_verbs import AnalysisOptions
from app.cli.options import Label, Merge, with_options
from app.cli.output import say, show
from app.cli.questions import open_engine
from app.errors import ShowError
from app.exports.composition_files import check_suffix, write_composition
from app.figures.composition import Map
from app.tables.composition import coarse_table, composition_table, slide_composition_table
from app.tables.hits import index_provenance
from search.cells.cell_vectors import CellVectors
from search.cells.decomposition import ShareOf
from search.cells.manner import Manner, Method, Source
from search.cells.reference import CellReference
from search.engine import Engine

_K = 50
On = Literal["counts", "vectors"]


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("decompose")(decompose)


@with_options(AnalysisOptions)
def decompose(
    *,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            help="Labelled cells (.h5ad), or a table of genes by types (.csv, .tsv); default: the cells of the index.",
        ),
    ] = None,
    label: Label = DEFAULT_LABEL,
    coarse: Annotated[
        str | None, typer.Option("--coarse", help="Column of coarser types that shares are summed to as well.")
    ] = None,
    merge: Merge = None,
    source: Annotated[Source, typer.Option("--source", help="Own counts, or those of the hits.")] = "auto",
    method: Annotated[
        Method,
        typer.Option("--method", help="Least squares; tangram, of whole slides; votes of the nearest reference cells."),
    ] = "reweighted",
    on: Annotated[On, typer.Option("--on", help="What tangram maps by.")] = "counts",
    nms: Annotated[bool, typer.Option("--nms", help="Only the most common type of a place, for tangram.")] = False,
    of: Annotated[ShareOf, typer.Option("--of", help="Shares of the cells, or of the RNA.")] = "cells",
    out: Annotated[
        list[Path] | None,
        typer.Option("--out", help="Every place of --slide (in --region) as .h5ad, .csv or .png; may be repeated."),
    ] = None,
    drawn: Annotated[Map, typer.Option("--map", help="What a picture shows of each place.")] = "auto",
    options: AnalysisOptions,
) -> None:
    """Tell the cell types of a query, from its own counts or those of its hits; or of every place of a slide."""
    query, merged = options.query, parse_merge(merge or ())
    given = None if reference is None else ReferenceFile(reference, label, merged, coarse)
    for path in out or ():
        check_suffix(path)
    if coarse is not None and given is None:
        raise ShowError("--coarse names a column of the reference; give one with --reference CELLS.h5ad.")
    manner = Manner(method=method, of=of, nms=nms)
    if on == "vectors" and method != "tangram":
        raise ShowError(f"--on vectors is for --method tangram, not {method}; leave it out.")
    engine = open_engine(options)
    cells: CellReference | CellVectors
    if method == "votes" or on == "vectors":
        cells = cell_vectors(engine, given, dict(merged))
    else:
        cells = given.read() if given else reference_of_index(engine, merge=dict(merged))
    if out:
        _every_place(engine, cells, source, manner, out, drawn, options)
        return
    found = engine.decompose(
        query, cells, source=source, manner=manner, k=options.k or _K, where=options.where, exclude=options.exclude
    )
    title = f"Cell types of {options.asked}"
    views = [composition_table(found, title=title, provenance=index_provenance(engine))]
    if found.coarse:
        views.insert(0, coarse_table(found, title=f"{title}, by {coarse}"))
    show(found.to_dict(), views, as_json=options.as_json)


def _every_place(
    engine: Engine,
    cells: CellReference | CellVectors,
    source: Source,
    manner: Manner,
    out: list[Path],
    drawn: Map,
    options: AnalysisOptions,
) -> None:
    if options.slide is None or any((options.item, options.genes, options.patch, options.group, options.compose)):
        raise ShowError("--out writes the cell types of every place of a slide; ask with --slide NAME (and --region).")
    found = engine.decompose_slide(
        options.slide,
        cells,
        items=options.query if options.region else None,
        source="hits" if source == "auto" and options.using == "image" else source,
        manner=manner,
        k=options.k or _K,
        where=options.where,
        exclude=options.exclude,
    )
    for path in out:
        say(f"Written: {write_composition(found, engine, path, kind=drawn)}")
    table = slide_composition_table(found, provenance=index_provenance(engine))
    show(found.to_dict(), [table], as_json=options.as_json)
