"""`histoseek encoders` and `histoseek train`: the spaces, their state and quality, and a space of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import AsJson, Device
from app.cli.output import FAILED, show
from app.cli.progress import bars
from app.space_tables import quality_table, space_row, spaces_table


def register(command: typer.Typer) -> None:
    """Add the verbs to `command`."""
    verbs = typer.Typer(help="Encoders and their spaces, with their state on this machine.")
    verbs.callback(invoke_without_command=True)(list_spaces)
    verbs.command("check")(check_space)
    command.add_typer(verbs, name="encoders")
    command.command("train")(train)


def list_spaces(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the spaces."""
    if context.invoked_subcommand is not None:
        return
    from encoders.registry import describe_spaces

    statuses = describe_spaces()
    tables = [quality_table(status.card) for status in statuses if status.card and status.card.quality]
    rows = [space_row(status) for status in statuses]
    show({"spaces": rows}, [spaces_table(statuses), *tables], as_json=as_json)


def check_space(
    name: Annotated[str, typer.Argument(help="A named space, or a folder made by `histoseek train`.")],
    *,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Load a space, encode with both sides, and say whether its vectors are what it declares."""
    from app.space_check import check

    with bars() as progress, progress.working(f"check {name}"):
        report = check(name, device=device)
    lines = [f"{row.what}: {'ok' if row.passed else 'FAILED'} ({row.found})" for row in report]
    passed = all(row.passed for row in report)
    show({"space": name, "passed": passed, "checks": report}, lines, as_json=as_json)
    if not passed:
        raise typer.Exit(FAILED)


def train(
    name: Annotated[str, typer.Argument(help="Name of the new space.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder for card.json and weights.safetensors.")],
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Learn a space from the paired her2st sections, and measure it on the held-out patient; deterministic."""
    from search.training import train_mini

    with bars() as progress:
        space = train_mini(out, name=name, device=device, progress=progress)
    show(
        {"space": space.card.model_dump(mode="json", exclude={"calibration"}), "out": out},
        [f"Written to {out}.", quality_table(space.card)],
        as_json=as_json,
    )
