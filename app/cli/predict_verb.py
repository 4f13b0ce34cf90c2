"""`histoseek predict`: the expression of a query, or of every place of a slide."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.analysis_verbs import AnalysisOptions
from app.cli.options import with_options
from app.cli.output import say, show
from app.cli.questions import open_engine
from app.exports.prediction_files import check_suffix, write_maps
from app.tables.analyses import prediction_table
from app.tables.hits import index_provenance
from app.tables.prediction import slide_prediction_table
from search.engine import Engine
from search.expression.weighting import Mode

_N_GENES, _N_GENES_OF_MAPS = 20, 250
_COVERAGE = 0.9


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("predict")(predict)


@with_options(AnalysisOptions)
def predict(
    *,
    gene: Annotated[list[str] | None, typer.Option("--gene", help="Only this gene; may be repeated.")] = None,
    n_genes: Annotated[
        int | None, typer.Option("--n-genes", min=1, help="Genes when none is named: 20, or 250 of a whole slide.")
    ] = None,
    mode: Annotated[
        Mode,
        typer.Option("--mode", help="softmax: ours; mean50: BLEEP's; raw: Loki's; mean and ridge are baselines."),
    ] = "softmax",
    coverage: Annotated[
        float | None, typer.Option("--coverage", help="Share of values the intervals of mode softmax hold, 0.9.")
    ] = None,
    intervals: Annotated[
        bool, typer.Option("--intervals/--no-intervals", help="Measure intervals and predictability on other patients.")
    ] = True,
    out: Annotated[
        list[Path] | None,
        typer.Option("--out", help="A picture (.png); with --slide every place of it, as .h5ad or maps; may repeat."),
    ] = None,
    options: AnalysisOptions,
) -> None:
    """Predict the expression of a query from its hits; with --slide and --out that of every place of the slide."""
    parts = (options.item, options.genes, options.patch, options.region, options.group, options.like, options.unlike)
    maps = bool(out) and options.slide is not None and not any(parts)
    for path in out or ():
        check_suffix(path, whole_slide=maps)
    if maps:
        engine = open_engine(options)
        _every_place(engine, gene, n_genes or _N_GENES_OF_MAPS, mode, intervals, out or [], options)
        return
    query, engine = options.query, open_engine(options)
    wanted = coverage if coverage is not None or mode != "softmax" or not intervals else _COVERAGE
    found = engine.predict_expression(
        query,
        genes=gene,
        n_genes=n_genes or _N_GENES,
        k=options.k,
        mode=mode,
        coverage=wanted,
        where=options.where,
        exclude=options.exclude,
    )
    for path in out or ():
        from app.figures.prediction import prediction_figure
        from app.figures.style import save

        say(f"Written: {save(prediction_figure(found, engine, asked=options.asked), path)}")
    title = f"Predicted expression of {options.asked}"
    table = prediction_table(found, title=title, provenance=index_provenance(engine))
    show(found.to_dict(), [table], as_json=options.as_json)


def _every_place(
    engine: Engine,
    genes: list[str] | None,
    n_genes: int,
    mode: Mode,
    intervals: bool,
    out: list[Path],
    options: AnalysisOptions,
) -> None:
    found = engine.predict_slide(
        options.slide or "",
        genes=genes,
        n_genes=n_genes,
        using=options.using,
        mode=mode,
        k=options.k,
        where=options.where,
        exclude="patient" if options.exclude == "auto" else options.exclude,
        predictability=intervals,
    )
    for path in out:
        say(f"Written: {write_maps(found, engine, path, genes=list(found.genes) if genes else None)}")
    table = slide_prediction_table(found, provenance=index_provenance(engine))
    show(found.to_dict(), [table], as_json=options.as_json)
