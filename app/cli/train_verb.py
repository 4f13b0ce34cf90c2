"""`histoseek train`: a space of one's own from paired slides."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import with_options
from app.cli.output import show
from app.cli.progress import bars
from app.cli.train_options import TrainOptions
from app.tables.space import quality_table


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("train")(train)


@with_options(TrainOptions)
def train(
    name: Annotated[str, typer.Argument(help="Name of the new space.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder for the space.")],
    options: TrainOptions,
) -> None:
    """Learn a space from paired slides and measure it on held-out patients; same input, same weights.

    Without options of the image or expression side the space is of the family of `mini`. A training by infonce or bleep
    that is interrupted goes on where it was when the same command is given again.
    """
    from search.training.request import train_requested

    request = options.request(name)
    with bars() as progress:
        space = train_requested(request, out, progress=progress)
    show(
        {"space": space.card.model_dump(mode="json", exclude={"calibration"}), "out": out},
        [f"Written to {out}.", quality_table(space.card)],
        as_json=options.as_json,
    )
