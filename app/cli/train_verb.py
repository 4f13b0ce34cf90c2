"""`histoseek train`: a space of one's own from paired slides."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import AsJson, Device, ManifestPath
from app.cli.output import show
from app.cli.progress import bars
from app.space_tables import quality_table
from encoders.recipe import Loss, Recipe, StopOn

_DEFAULT = Recipe()


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("train")(train)


def train(
    name: Annotated[str, typer.Argument(help="Name of the new space.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder for card.json and weights.safetensors.")],
    dataset: Annotated[
        str, typer.Option("--dataset", help="A data set of the manifest with paired slides.")
    ] = "her2st",
    held_out: Annotated[
        list[str] | None,
        typer.Option("--held-out", help="A patient to test on, never trained on; may be repeated. Of her2st: B."),
    ] = None,
    loss: Annotated[
        Loss, typer.Option("--loss", help="cca: closed form; infonce: contrastive; bleep: soft targets.")
    ] = _DEFAULT.loss,
    stop_on: Annotated[
        StopOn, typer.Option("--stop-on", help="Held out from the pairs for early stopping of infonce and bleep.")
    ] = _DEFAULT.stop_on,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Most epochs of infonce and bleep.")] = _DEFAULT.epochs,
    dim: Annotated[int, typer.Option("--dim", min=1, help="Dimensions of the space.")] = _DEFAULT.dim,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything drawn.")] = _DEFAULT.seed,
    manifest: ManifestPath = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Learn a space from paired slides and measure it on held-out patients; same input, same weights.

    A training by infonce or bleep that is interrupted goes on where it was when the same command is given again.
    """
    from indexer.manifest import load_manifest
    from search.training import MINI_DATA, MINI_HELD_OUT, train_dataset

    patients = set(held_out or (MINI_HELD_OUT if dataset == MINI_DATA else ()))
    recipe = Recipe(name=name, loss=loss, stop_on=stop_on, epochs=epochs, dim=dim, seed=seed)
    with bars() as progress:
        space = train_dataset(
            dataset,
            patients,
            recipe,
            out,
            manifest=load_manifest(manifest),
            device=device,
            checkpoint=None if loss == "cca" else out.with_name(f"{out.name}.checkpoint.safetensors"),
            progress=progress,
        )
    show(
        {"space": space.card.model_dump(mode="json", exclude={"calibration"}), "out": out},
        [f"Written to {out}.", quality_table(space.card)],
        as_json=as_json,
    )
