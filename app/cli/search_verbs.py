"""`histoseek search genes | sentence | item | patch | slide`."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import SearchOptions, Using, with_options
from app.cli.output import show
from app.cli.questions import open_engine, patch_query
from app.hit_tables import hits_table
from app.slide_tables import parts_of_hits, parts_table
from encoders.contracts import Modality
from search.engine import Engine
from search.query import GenesQuery, ItemQuery, Query, SentenceQuery
from search.result import SearchResult
from search.retrieval.slide_matching import Match

Target = Annotated[Modality, typer.Option("--target", help="Which side of the items is compared.")]


def register(command: typer.Typer) -> None:
    """Add the verbs to `command`."""
    verbs = typer.Typer(help="Find the items most like a query.", no_args_is_help=True)
    # `-VIM` is a gene, not an option.
    verbs.command("genes", context_settings={"ignore_unknown_options": True})(genes)
    for verb in (sentence, item, patch, slide):
        verbs.command(verb.__name__)(verb)
    command.add_typer(verbs, name="search")


@with_options(SearchOptions)
def genes(
    terms: Annotated[list[str], typer.Argument(metavar="GENES...", help="Such as ERBB2:2 KRT19 -VIM.")],
    *,
    target: Target = "image",
    options: SearchOptions,
) -> None:
    """Find tiles and spots for a weighted gene list; a minus asks for the gene to be low."""
    text = " ".join(terms)
    _answer(GenesQuery(text), f'genes "{text}"', target, options)


@with_options(SearchOptions)
def sentence(
    symbols: Annotated[list[str], typer.Argument(help="Gene symbols from the highest value down.")],
    *,
    target: Target = "image",
    options: SearchOptions,
) -> None:
    """Find tiles and spots for a gene sentence."""
    _answer(SentenceQuery(" ".join(symbols)), "gene sentence", target, options)


@with_options(SearchOptions)
def item(
    name: Annotated[str, typer.Argument(metavar="ID", help="Id of an item, such as C2/spot/10x21.")],
    *,
    using: Using = None,
    target: Target = "expression",
    options: SearchOptions,
) -> None:
    """Find what is like an item of the index."""
    _answer(ItemQuery(name, using=using), f"item {name}", target, options)


@with_options(SearchOptions)
def patch(
    file: Annotated[Path, typer.Argument(help="Image file of one tile.")],
    mpp: Annotated[float, typer.Option("--mpp", help="Micrometres per pixel of FILE.")],
    *,
    target: Target = "expression",
    options: SearchOptions,
) -> None:
    """Find what is like a tile from a file."""
    _answer(patch_query(file, mpp), f"patch {file.name}", target, options)


@with_options(SearchOptions)
def slide(
    name: Annotated[str, typer.Argument(metavar="SLIDE", help="Name of a slide of the index.")],
    *,
    using: Using = None,
    match: Annotated[
        Match, typer.Option("--match", help="transport: same tissue, same shares; best: same tissue, any share.")
    ] = "transport",
    options: SearchOptions,
) -> None:
    """Find the slides most like a slide; its own patient is left out unless `--exclude` says otherwise.

    In an index made with `--aggregator prototypes` slides are compared part by part, and the parts that match are told.
    """
    engine = open_engine(options)
    result = engine.similar_slides(
        name, k=options.k, using=using, where=options.where, exclude=options.exclude, match=match
    )
    parts = parts_of_hits(engine, name, result)
    table = hits_table(result, title=f"slide {name} -> {result.query['target']}", space=engine.space.card)
    matched = {"parts": [one.to_dict() for one in parts]} if parts else {}
    show(result.to_dict() | matched, [table, *map(parts_table, parts[:1])], as_json=options.as_json)


def _answer(query: Query, asked: str, target: Modality, options: SearchOptions) -> None:
    engine = open_engine(options)
    result = engine.search(
        query,
        target=target,
        kind=options.kind,
        k=options.k,
        where=options.where,
        exclude=options.exclude,
        group_by=options.group_by,
    )
    _show(result, asked, engine, options)


def _show(result: SearchResult, asked: str, engine: Engine, options: SearchOptions) -> None:
    table = hits_table(result, title=f"{asked} -> {result.query['target']}", space=engine.space.card)
    show(result.to_dict(), [table], as_json=options.as_json)
