"""`histoseek doctor`: what this machine lacks, and which slides of a folder will fail."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import AsJson, ManifestPath
from app.cli.output import FAILED, show
from app.cli.progress import bars
from app.tables.doctor import findings_tables, verdict

if TYPE_CHECKING:
    from indexer.doctor.findings import Finding

Folder = Annotated[Path | None, typer.Argument(metavar="[FOLDER]", help="Slides to look at, as ingest would.")]
Index = Annotated[str | None, typer.Option("--db", help="An index to look at.", envvar="HISTOSEEK_DB")]
Format = Annotated[str, typer.Option("--format", help="Format of the files, as for ingest.")]
Table = Annotated[Path | None, typer.Option("--slides", help="Csv that says mpp, patients ... of the slides.")]
Stride = Annotated[float, typer.Option("--tile-stride-um", min=1, help="Distance between tissue tiles.")]


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("doctor")(doctor)


def doctor(
    folder: Folder = None,
    *,
    db: Index = None,
    format_name: Format = "slides",
    slides: Table = None,
    tile_stride_um: Stride = 200.0,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Check machine, packages, weights, settings and disks, an index, and a folder of slides; nothing is written.

    Exit code 1 if something that is needed is broken. Slides that will fail are told and do not count.
    """
    from indexer.doctor.findings import is_sound
    from indexer.doctor.machine import cache_place, look_at_disks, look_at_machine
    from indexer.doctor.packages import look_at_packages
    from indexer.doctor.surroundings import look_at_index, look_at_settings, look_at_spaces

    with bars() as progress, progress.working("doctor"):
        found = [*look_at_machine(), *look_at_packages(), *look_at_spaces(), *look_at_settings()]
        places = {"cache": cache_place(), "this folder": Path.cwd()}
        if db is not None and "://" not in db:
            places["index"] = Path(db.partition("@")[0])
        found += look_at_disks(places)
        found += look_at_index(db) if db is not None else []
    if folder is not None:
        found += _slides(folder, format_name, slides, tile_stride_um, manifest)
    show({"sound": is_sound(found), "findings": found}, [*findings_tables(found), verdict(found)], as_json=as_json)
    if not is_sound(found):
        raise typer.Exit(FAILED)


def _slides(
    folder: Path, format_name: str, table: Path | None, stride_um: float, manifest: Path | None
) -> "list[Finding]":
    from app.cli.format_sources import sources_at
    from encoders.registry import open_space
    from indexer.datasets.manifest import load_manifest
    from indexer.doctor.slides import look_at_slides
    from indexer.format import Circumstances
    from indexer.readers.table_slide import read_slide_table
    from indexer.sources import local_gene_names

    described = None if table is None else read_slide_table(table)
    around = Circumstances(tables=local_gene_names(load_manifest(manifest)))
    sources = sources_at([str(folder)], format_name, described, around)
    patch = open_space().image.patch
    with bars() as progress:
        return look_at_slides(
            sources, side_um=patch.side_um, side_px=patch.side_px, stride_um=stride_um, progress=progress
        )
