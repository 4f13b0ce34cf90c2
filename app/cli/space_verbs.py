"""`histoseek encoders`: spaces and encoders with their state on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import AsJson, Device
from app.cli.output import FAILED, say, show
from app.cli.progress import bars
from app.tables.slide import aggregator_row, aggregators_table
from app.tables.space import encoder_row, encoders_table, quality_table, space_row, spaces_table


def register(command: typer.Typer) -> None:
    """Add the verbs to `command`."""
    verbs = typer.Typer(help="Encoders and their spaces, with their state on this machine.")
    verbs.callback(invoke_without_command=True)(list_spaces)
    verbs.command("check")(check_named)
    verbs.command("convert")(convert_checkpoint)
    command.add_typer(verbs, name="encoders")


def list_spaces(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the spaces and the published encoders."""
    if context.invoked_subcommand is not None:
        return
    from encoders.aggregators import describe_aggregators
    from encoders.image_registry import describe_encoders
    from encoders.registry import describe_spaces

    statuses, encoders, aggregators = describe_spaces(), describe_encoders(), describe_aggregators()
    tables = [quality_table(status.card) for status in statuses if status.card and status.card.quality]
    payload = {
        "spaces": [space_row(status) for status in statuses],
        "encoders": [encoder_row(status) for status in encoders],
        "aggregators": [aggregator_row(status) for status in aggregators],
    }
    views = [spaces_table(statuses), *tables, encoders_table(encoders), aggregators_table(aggregators)]
    show(payload, views, as_json=as_json)


def check_named(
    name: Annotated[
        str,
        typer.Argument(help="A space, a folder of one, a published encoder, or timm/NAME or open_clip/NAME."),
    ],
    *,
    weights: Annotated[Path | None, typer.Option("--weights", help="Weights file of an encoder.")] = None,
    side_um: Annotated[float | None, typer.Option("--side-um", help="Side of a patch, where none is stated.")] = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Load a space or encoder, embed a test patch, and say whether its vectors are what it declares."""
    from app.space_check import check, check_encoder, is_space

    space = is_space(name) and weights is None
    with bars() as progress, progress.working(f"check {name}"):
        report = (
            check(name, device=device)
            if space
            else check_encoder(name, weights=weights, side_um=side_um, device=device)
        )
    lines = [f"{row.what}: {'ok' if row.passed else 'FAILED'} ({row.found})" for row in report]
    passed = all(row.passed for row in report)
    show({"space" if space else "encoder": name, "passed": passed, "checks": report}, lines, as_json=as_json)
    if not passed:
        raise typer.Exit(FAILED)


def convert_checkpoint(
    checkpoint: Annotated[Path, typer.Argument(help="OmiCLIP's checkpoint.pt.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write; by default in the weights folder.")
    ] = None,
    housekeeping: Annotated[
        Path | None,
        typer.Option("--housekeeping", help="CSV with a column genesymbol: genes that sentences leave out."),
    ] = None,
    recipe: Annotated[str, typer.Option("--recipe", help="Gene-sentence recipe of the space.")] = "omiclip",
    side_um: Annotated[float, typer.Option("--side-um", help="Side of a tile in micrometres.")] = 55.0,
    as_json: AsJson = False,
) -> None:
    """Convert OmiCLIP's checkpoint, once, to a space without pickles."""
    from encoders.omiclip import NAME, convert
    from encoders.sentence_recipes import read_housekeeping
    from encoders.weights import weights_folder

    folder = weights_folder() / NAME if out is None else out
    genes = frozenset[str]() if housekeeping is None else read_housekeeping(housekeeping)
    with bars() as progress, progress.working(f"convert {checkpoint.name}"):
        card = convert(checkpoint, folder, housekeeping=genes, recipe=recipe, side_um=side_um)
    if housekeeping is None:
        say(
            "No housekeeping genes were given: sentences keep them, unlike the published ones. Give the authors' list "
            "with --housekeeping housekeeping_genes.csv (github.com/GuangyuWangLab2021/Loki)."
        )
    show(
        {"space": card.model_dump(mode="json", exclude={"calibration"}), "out": folder},
        [f"Written to {folder}: space {card.name}, revision {card.revision}, {card.dim} dimensions."],
        as_json=as_json,
    )
