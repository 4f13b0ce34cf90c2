"""`histoseek search genes | sentence | item | patch | slide | region | group | compose`."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli import composed_search_verbs
from app.cli.options import SearchOptions, Using, with_options
from app.cli.output import show
from app.cli.questions import Like, Unlike, open_engine, patch_query, with_examples
from app.cli.search_answers import Target, answer, moved, write_out
from app.exports.asked_hits import AskedHits
from app.exports.write import check_kind
from app.searches import search
from app.tables.hits import hits_table
from app.tables.slide import parts_of_hits, parts_table
from search.query import GenesQuery, ItemQuery, SentenceQuery, SlideQuery
from search.retrieval.slide_matching import Match


def register(command: typer.Typer) -> None:
    """Add the verbs to `command`."""
    verbs = typer.Typer(help="Find the items most like a query.", no_args_is_help=True)
    # `-VIM` is a gene, not an option.
    verbs.command("genes", context_settings={"ignore_unknown_options": True})(genes)
    for verb in (sentence, item, patch, slide):
        verbs.command(verb.__name__)(verb)
    composed_search_verbs.register(verbs)
    command.add_typer(verbs, name="search")


@with_options(SearchOptions)
def genes(
    terms: Annotated[list[str], typer.Argument(metavar="GENES...", help="Such as ERBB2:2 KRT19 -VIM.")],
    *,
    like: Like = None,
    unlike: Unlike = None,
    target: Target = "image",
    options: SearchOptions,
) -> None:
    """Find tiles and spots for a weighted gene list; a minus asks for the gene to be low."""
    text = " ".join(terms)
    query = with_examples(GenesQuery(text), like, unlike, None)
    answer(query, f'genes "{text}"{moved(like, unlike)}', target, options)


@with_options(SearchOptions)
def sentence(
    symbols: Annotated[list[str], typer.Argument(help="Gene symbols from the highest value down.")],
    *,
    target: Target = "image",
    options: SearchOptions,
) -> None:
    """Find tiles and spots for a gene sentence."""
    answer(SentenceQuery(" ".join(symbols)), "gene sentence", target, options)


@with_options(SearchOptions)
def item(
    name: Annotated[str, typer.Argument(metavar="ID", help="Id of an item, such as C2/spot/10x21.")],
    *,
    like: Like = None,
    unlike: Unlike = None,
    using: Using = None,
    target: Target = "expression",
    options: SearchOptions,
) -> None:
    """Find what is like an item of the index; examples that are right or wrong move the query (Rocchio)."""
    query = with_examples(ItemQuery(name, using=using), like, unlike, using)
    answer(query, f"item {name}{moved(like, unlike)}", target, options)


@with_options(SearchOptions)
def patch(
    file: Annotated[Path, typer.Argument(help="Image file of one tile.")],
    mpp: Annotated[float, typer.Option("--mpp", help="Micrometres per pixel of FILE.")],
    *,
    like: Like = None,
    unlike: Unlike = None,
    target: Target = "expression",
    options: SearchOptions,
) -> None:
    """Find what is like a tile from a file."""
    query = with_examples(patch_query(file, mpp), like, unlike, None)
    answer(query, f"patch {file.name}{moved(like, unlike)}", target, options)


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
    for path in options.out or ():
        check_kind(path)
    engine = open_engine(options)
    query = SlideQuery(name, using)
    result = search(engine, query, match=match, **options.given)
    write_out(AskedHits(engine, result, f"slide {name}", query), options.out)
    parts = parts_of_hits(engine, name, result)
    table = hits_table(result, title=f"slide {name} -> {result.query['target']}", space=engine.space.card)
    matched = {"parts": [one.to_dict() for one in parts]} if parts else {}
    show(result.to_dict() | matched, [table, *map(parts_table, parts[:1])], as_json=options.as_json)
