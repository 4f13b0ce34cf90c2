"""`histoseek evaluate`: how good the space of an index is on its slides, beside what knows less."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import DEFAULT_DB, AsJson, Db, Device, SpaceOfIndex
from app.cli.output import jsonable, say, show
from app.cli.progress import bars

Slides = Annotated[list[str] | None, typer.Option("--slide", help="Ask only about this slide; may be repeated.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for evaluation.json, evaluation.csv, evaluation.png.")]
Trained = Annotated[
    bool,
    typer.Option("--include-trained", help="Ask also about patients the space was trained on; their rows are marked."),
]


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("evaluate")(evaluate)


def evaluate(
    *,
    db: Db = DEFAULT_DB,
    space: SpaceOfIndex = None,
    slide: Slides = None,
    out: Out = None,
    include_trained: Trained = False,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Measure the space on the index: retrieval, labels, gene lists and prediction, each beside its baselines."""
    from app.exports.evaluation_files import write_evaluation
    from app.tables.evaluation import evaluation_tables
    from app.tables.hits import index_provenance
    from search.engine import Engine
    from search.quality.index_evaluation import evaluate as measure

    engine = Engine.open(db, space=space, device=device)
    with bars() as progress:
        found = measure(engine, slides=slide, include_trained=include_trained, progress=progress)
    payload = jsonable(found)
    if out is not None:
        for path in write_evaluation(found, payload, out, provenance=index_provenance(engine)):
            say(f"Written: {path}")
    head = f"Space {found.space} {found.revision}, asked about {len(found.slides)} slides."
    show(payload, [head, *found.notes, *evaluation_tables(found)], as_json=as_json)
