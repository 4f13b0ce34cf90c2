"""`histoseek ingest` and `histoseek index stats | verify`; the other `index` verbs have files of their own."""

from typing import Annotated

import typer

from app.cli import upkeep_verbs
from app.cli.options import DEFAULT_DB, AsJson, Db, Device, ManifestPath, Space
from app.cli.output import DONE_WITH_FAILURES, FAILED, show
from app.cli.progress import bars
from app.cli.upkeep_verbs import Wait
from app.index_tables import card_lines, cohorts_held_table, failed_table, index_summary, slides_table
from app.table_view import Column, TableView

Names = Annotated[list[str], typer.Argument(metavar="DATASET...", help="Data sets of the manifest.")]
Slides = Annotated[list[str] | None, typer.Option("--slide", help="Only this slide; may be repeated.")]
Stride = Annotated[float, typer.Option("--tile-stride-um", min=1, help="Distance between tissue tiles.")]


def register(command: typer.Typer) -> None:
    """Add the verbs to `command`."""
    command.command("ingest")(ingest)
    verbs = typer.Typer(help="Look into an index, keep it in order.", no_args_is_help=True)
    verbs.command("stats")(stats)
    verbs.command("verify")(verify)
    upkeep_verbs.register(verbs)
    command.add_typer(verbs, name="index")


def ingest(
    names: Names,
    *,
    db: Db = DEFAULT_DB,
    slide: Slides = None,
    space: Space = "mini",
    tile_stride_um: Stride = 200.0,
    manifest: ManifestPath = None,
    device: Device = "cpu",
    again: Annotated[bool, typer.Option("--again", help="Encode slides anew that have not changed.")] = False,
    wait: Wait = 0.0,
    as_json: AsJson = False,
) -> None:
    """Read data sets into an index; a second run adds nothing, a killed run continues."""
    from encoders.registry import open_space
    from indexer.build import build_index
    from indexer.manifest import load_manifest
    from indexer.sources import local_gene_table, open_sources

    loaded = load_manifest(manifest)
    opened = open_space(space, device=device)
    with bars() as progress:
        sources = [source for name in names for source in open_sources(name, manifest=loaded, slides=slide)]
        report = build_index(
            db,
            sources,
            opened,
            gene_table=local_gene_table(loaded),
            tile_stride_um=tile_stride_um,
            again=again,
            wait_s=wait,
            progress=progress,
        )
    line = (
        f"{len(report.added)} slides added, {len(report.replaced)} replaced, {len(report.skipped)} were there, "
        f"{len(report.failed)} failed; the index {db} holds {report.n_items:,} items."
    )
    tables = [seconds_table(report.seconds)]
    if report.failed:
        from indexer.index import Index

        tables.append(failed_table(Index.open(db).failed()))
    show({"db": db, "report": report}, [line, *tables], as_json=as_json)
    if report.failed:
        raise typer.Exit(DONE_WITH_FAILURES)


def stats(*, db: Db = DEFAULT_DB, as_json: AsJson = False) -> None:
    """Say what an index holds: its space, slides, items, licences and failures."""
    from indexer.index import Index

    index = Index.open(db)
    views: list[TableView | str] = [*card_lines(index.card), cohorts_held_table(index), slides_table(index)]
    if index.failed().num_rows:
        views.append(failed_table(index.failed()))
    show(index_summary(index), views, as_json=as_json)


def verify(*, db: Db = DEFAULT_DB, as_json: AsJson = False) -> None:
    """Check an index: tables against its card, and the vector sidecars against the tables."""
    from app.index_check import check_index

    with bars() as progress, progress.working("verify"):
        checks = check_index(db)
    passed = all(row.passed for row in checks)
    lines = [f"{row.what}: {'ok' if row.passed else 'FAILED'} ({row.found})" for row in checks]
    show({"db": db, "passed": passed, "checks": checks}, lines, as_json=as_json)
    if not passed:
        raise typer.Exit(FAILED)


def seconds_table(seconds: dict[str, float]) -> TableView:
    """Time of each stage."""
    rows = [(stage, f"{value:.1f}") for stage, value in seconds.items()]
    return TableView(title="Time", columns=(Column("stage"), Column("seconds", "right")), rows=rows)
