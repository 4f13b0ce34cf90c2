"""`histoseek index tune`."""

from typing import Annotated

import typer

from app.cli.options import DEFAULT_DB, AsJson, Db
from app.cli.output import show
from app.cli.progress import bars
from app.tables.view import Column, TableView
from encoders.contracts import Modality

Wanted = Annotated[float, typer.Option("--recall", min=0.01, max=1.0, help="Share of the nearest that must be found.")]
Hits = Annotated[int, typer.Option("-k", min=1, help="Hits a query wants.")]
Queries = Annotated[int, typer.Option("--queries", min=1, help="Queries of each kind to measure with.")]
Side = Annotated[Modality | None, typer.Option("--modality", help="Only these vectors; by default both.")]


def register(verbs: typer.Typer) -> None:
    """Add the verb to the group `index`."""
    verbs.command("tune")(tune)


def tune(
    *,
    db: Db = DEFAULT_DB,
    recall: Wanted = 0.99,
    k: Hits = 10,
    queries: Queries = 100,
    modality: Side = None,
    as_json: AsJson = False,
) -> None:
    """Measure searches against exact comparison on the index's own vectors, and set how far they look."""
    from indexer.index import Index
    from indexer.upkeep.tuning import tune as measure

    index = Index.open(db)
    sides: tuple[Modality, ...] = (modality,) if modality else ("image", "expression")
    found = {}
    with bars() as progress:
        for side in sides:
            if modality is None and not len(index.vectors(side)):
                continue
            with progress.working(f"tune {side}"):
                found[side] = measure(index, side, recall=recall, k=k, n_queries=queries)
    columns = (Column("searched"), Column("queries"), Column("tolerance", "right"), Column(f"recall@{k}", "right"),
               Column("p50 ms", "right"), Column("p95 ms", "right"), Column("set"))  # fmt: skip
    rows = [
        (
            side,
            row.queries,
            "every vector" if row.tolerance == 0 else f"{row.tolerance:g}",
            f"{row.recall:.4f}",
            f"{row.p50_ms:.2f}",
            f"{row.p95_ms:.2f}",
            "yes" if row.is_set else "",
        )
        for side, of_side in found.items()
        for row in of_side
    ]
    show({"db": db, "recall": recall, "k": k, "rows": found}, [TableView("Searches", columns, rows)], as_json=as_json)
