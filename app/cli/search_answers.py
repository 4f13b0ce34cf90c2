"""How the verbs of `histoseek search` ask and answer."""

from collections.abc import Sequence
from typing import Annotated

import typer

from app.cli.options import SearchOptions
from app.cli.output import show
from app.cli.questions import open_engine
from app.hit_tables import hits_table
from encoders.contracts import Modality
from search.query import Query

Target = Annotated[Modality, typer.Option("--target", help="Which side of the items is compared.")]


def answer(query: Query, asked: str, target: Modality, options: SearchOptions) -> None:
    """Search, and show the hits."""
    answer_all([query], [asked], target, options)


def answer_all(queries: Sequence[Query], asked: Sequence[str], target: Modality, options: SearchOptions) -> None:
    """Search with each query, and show the hits of each; as JSON the answer, or `results` of several."""
    engine = open_engine(options)
    results = [
        engine.search(
            query,
            target=target,
            kind=options.kind,
            k=options.k,
            where=options.where,
            exclude=options.exclude,
            group_by=options.group_by,
        )
        for query in queries
    ]
    tables = [
        hits_table(result, title=f"{name} -> {result.query['target']}", space=engine.space.card)
        for name, result in zip(asked, results, strict=True)
    ]
    forms = [result.to_dict() for result in results]
    show(forms[0] if len(forms) == 1 else {"results": forms}, tables, as_json=options.as_json)


def moved(like: Sequence[str] | None, unlike: Sequence[str] | None) -> str:
    """How many examples moved the query, for a title."""
    told = [f"{len(items)} {name}" for name, items in (("like", like), ("unlike", unlike)) if items]
    return f" ({', '.join(told)})" if told else ""
