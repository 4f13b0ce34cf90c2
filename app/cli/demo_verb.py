"""`histoseek demo`: the whole of HistoSeek on public data, from files to a gallery and the app."""

from pathlib import Path
from typing import Annotated

import typer

from app.cell_types import ReferenceFile
from app.cli.options import AsJson, Device
from app.cli.output import DONE_WITH_FAILURES, say, show
from app.cli.progress import bars
from app.cli.serve_verb import Port
from app.tables.view import TableView


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("demo")(demo)


def demo(
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder for the index and the gallery.")] = Path("demo"),
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Stop when the gallery is written.")] = False,
    port: Port = 8501,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Get the demo data, build an index, ask one question of each kind, write a gallery, and serve the app."""
    from app.demo.pipeline import run_demo

    with bars() as progress:
        report = run_demo(out, watcher=progress, device=device)
    for notice in report.data.notices:
        say(f"note: {notice}")
    views: list[TableView | str] = []
    for section in report.sections:
        views += [section.asked, *section.tables] if section.tables else []
    page = report.gallery / "index.html"
    show(report.to_dict(), [*views, *report.about, f"Gallery: {page}"], as_json=as_json)
    if not no_serve:
        from app.server import serve

        say(f"Serving {report.db} on http://127.0.0.1:{port} - stop with Ctrl+C.")
        cells = report.data.reference
        serve(
            report.db,
            port,
            reference=None if cells is None else ReferenceFile(cells, merge=tuple(report.data.merged_types.items())),
        )
    if report.build.failed:
        raise typer.Exit(DONE_WITH_FAILURES)
