"""`histoseek align`: a slide laid over another one of the same tissue."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import IndexOptions, with_options
from app.cli.output import say, show
from app.cli.questions import open_engine
from app.exports.alignment_files import check_suffix, write_alignment
from app.tables.alignment import alignment_table
from app.tables.hits import index_provenance
from encoders.contracts import Modality
from search.sections.alignment import Model


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("align")(align)


@with_options(IndexOptions)
def align(
    slide: Annotated[str, typer.Argument(help="The slide to move.")],
    other: Annotated[str, typer.Argument(help="The slide that stays.")],
    *,
    using: Annotated[Modality | None, typer.Option("--using", help="Side of the slide to compare.")] = None,
    other_using: Annotated[
        Modality | None, typer.Option("--other-using", help="Side of the other slide; the same if not given.")
    ] = None,
    model: Annotated[Model, typer.Option("--model", help="What the slide may do.")] = "warp",
    mirror: Annotated[bool, typer.Option("--mirror", help="It may lie with its other side up.")] = False,
    out: Annotated[
        list[Path] | None,
        typer.Option("--out", help="Where each place lies (.csv), or a picture (.png, .svg); may be repeated."),
    ] = None,
    options: IndexOptions,
) -> None:
    """Lay a slide over another one of the same tissue, by its pictures, its expression, or the one by the other."""
    for path in out or ():
        check_suffix(path)
    engine = open_engine(options)
    sides = None if using is None and other_using is None else (using or "image", other_using or using or "image")
    found = engine.align(slide, other, using=sides, model=model, mirror=mirror)
    for path in out or ():
        say(f"Written: {write_alignment(found, engine, path)}")
    show(found.to_dict(), [alignment_table(found, provenance=index_provenance(engine))], as_json=options.as_json)
