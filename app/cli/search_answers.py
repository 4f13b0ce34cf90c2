"""How the verbs of `histoseek search` ask and answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import SearchOptions
from app.cli.output import say, show
from app.cli.questions import open_engine
from app.exports.asked_hits import AskedHits
from app.exports.write import check_kind, write_hits
from app.searches import search
from app.tables.hits import hits_table
from encoders.contracts import Modality
from search.query import Query

Target = Annotated[Modality, typer.Option("--target", help="Which side of the items is compared.")]


def answer(query: Query, asked: str, target: Modality, options: SearchOptions) -> None:
    """Search, and show the hits."""
    answer_all([query], [asked], target, options)


def answer_all(queries: Sequence[Query], asked: Sequence[str], target: Modality, options: SearchOptions) -> None:
    """Search with each query, and show the hits of each; as JSON the answer, or `results` of several."""
    for path in options.out or ():
        check_kind(path)
    engine = open_engine(options)
    results = [search(engine, query, target=target, **options.given) for query in queries]
    tables = [
        hits_table(result, title=f"{name} -> {result.query['target']}", space=engine.space.card)
        for name, result in zip(asked, results, strict=True)
    ]
    for number, (query, name, result) in enumerate(zip(queries, asked, results, strict=True), start=1):
        hits = AskedHits(engine, result, f"{name} -> {result.query['target']}", query)
        write_out(hits, options.out, part=number if len(results) > 1 else None)
    forms = [result.to_dict() for result in results]
    show(forms[0] if len(forms) == 1 else {"results": forms}, tables, as_json=options.as_json)


def write_out(hits: AskedHits, files: Sequence[Path] | None, *, part: int | None = None) -> None:
    """Write hits to each file, and say what was written; with a number in the name where there are several answers."""
    for path in files or ():
        name = path if part is None else path.with_name(f"{path.stem}.{part}{path.suffix}")
        for written in write_hits(hits, name):
            say(f"Written: {written}")


def moved(like: Sequence[str] | None, unlike: Sequence[str] | None) -> str:
    """How many examples moved the query, for a title."""
    told = [f"{len(items)} {name}" for name, items in (("like", like), ("unlike", unlike)) if items]
    return f" ({', '.join(told)})" if told else ""
