"""`histoseek serve`: the app in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from app.cell_types import DEFAULT_LABEL
from app.cli.options import DEFAULT_DB, Db, Label, Merge, reference_file
from app.cli.output import say

Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="TCP port.")]
Address = Annotated[str, typer.Option("--address", help="Interface to listen on; this machine only by default.")]
Reference = Annotated[Path | None, typer.Option("--reference", help="Labelled cells (.h5ad) for cell types.")]


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("serve")(serve)


def serve(
    *,
    db: Db = DEFAULT_DB,
    port: Port = 8501,
    address: Address = "127.0.0.1",
    reference: Reference = None,
    label: Label = DEFAULT_LABEL,
    merge: Merge = None,
) -> None:
    """Show an index in the browser until interrupted."""
    from app.server import serve as run
    from search.engine import Engine

    if merge and reference is None:
        raise typer.BadParameter("--merge changes a reference; give one with --reference.")
    cells = reference_file(reference, label, merge)
    # What cannot be read fails here, in one sentence, rather than in the browser.
    Engine.open(db)
    if cells is not None:
        cells.check()
    say(f"Serving {db} on http://{address}:{port} - stop with Ctrl+C.")
    raise typer.Exit(run(db, port, address, reference=cells))
