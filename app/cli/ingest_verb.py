"""`histoseek ingest`: data sets of the manifest, slides of one's own, and tiles made elsewhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.asked import asked_of
from app.cli.dry_run import show_forecast
from app.cli.options import DEFAULT_DB, AsJson, Db, Device, ManifestPath, Space
from app.cli.output import DONE_WITH_FAILURES, show
from app.cli.run_flags import (
    BatchSize,
    FailFast,
    ShardText,
    Workers,
    ended_by_sigterm,
    run_options,
    wait_seconds,
    waiting_line,
)
from app.cli.run_lines import run_progress
from app.cli.upkeep_verbs import Wait
from app.index_tables import failed_table
from app.leak_tables import leaks_table
from app.table_view import Column, TableView
from indexer.features.tile_files import TileFormat

if TYPE_CHECKING:
    from indexer.building.report import BuildReport
    from indexer.datasets.manifest import Manifest
    from indexer.format import Circumstances
    from indexer.readers.table_slide import TableSlide
    from indexer.slides import SlideSource

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[DATASET|PATH]...", help="Data sets of the manifest; with --format, files or folders."),
]
Format = Annotated[
    str | None, typer.Option("--format", help="Format of the files: visium, 10x ...; a wrong name lists them all.")
]
Labels = Annotated[
    str | None,
    typer.Option("--label-column", help="Column of h5ad, HEST or SpatialData tables with regions or cell types."),
]
Only = Annotated[list[str] | None, typer.Option("--slide", help="Only this slide; may be repeated.")]
Stride = Annotated[
    float | None, typer.Option("--tile-stride-um", min=1, help="Distance between tissue tiles; default 200.")
]
Overlap = Annotated[
    float | None,
    typer.Option("--overlap", min=0, max=0.9, help="Overlap of neighbouring tiles instead, as a share of their side."),
]
Annotations = Annotated[
    Path | None,
    typer.Option("--annotations", help="Regions of QuPath: a folder of <slide>.geojson, or the file of one slide."),
]
DropClass = Annotated[
    list[str] | None,
    typer.Option("--drop-class", help="Class of regions without tiles, besides drop and Ignore*; may be repeated."),
]
_STRIDE_UM = 200.0
Features = Annotated[
    Path | None,
    typer.Option("--features", help="Tiles made elsewhere: a file or folder of TRIDENT, CLAM or HEST.", exists=True),
]
Table = Annotated[
    Path | None,
    typer.Option(
        "--slides", help="Csv of slides: slide, patient_id, mpp, organ, diagnosis, licence, image, counts ..."
    ),
]
Aggregator = Annotated[
    str | None,
    typer.Option(
        "--aggregator",
        help="What stands for a whole slide: mean, prototypes, prototypes-16, abmil; default: the index's, or mean.",
    ),
]

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be read, what will fail, and what it costs; write nothing.")
]
HashNames = Annotated[
    Path | None,
    typer.Option(
        "--hash-names",
        metavar="SALTFILE",
        help="Keep slide, patient and file names as keyed hashes; the secret lies in this file, made if not there.",
    ),
]


@dataclass(frozen=True, slots=True)
class _Tiles:
    """Where tiles made elsewhere are, and what is said of them."""

    place: Path
    layout: TileFormat | None
    encoder: str | None
    side_px: float | None
    patches: Path | None


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("ingest")(ingest)


def ingest(
    context: typer.Context,
    names: Names = None,
    *,
    db: Db = DEFAULT_DB,
    slide: Only = None,
    slides: Table = None,
    format_name: Format = None,
    label_column: Labels = None,
    features: Features = None,
    features_format: Annotated[
        TileFormat | None, typer.Option("--features-format", help="Whose layout; by default told from each file.")
    ] = None,
    features_encoder: Annotated[
        str | None, typer.Option("--features-encoder", help="What made features of CLAM, which does not say it.")
    ] = None,
    features_side_px: Annotated[
        float | None, typer.Option("--features-side-px", help="Side of a tile in level-0 pixels, if no file says it.")
    ] = None,
    patches: Annotated[
        Path | None, typer.Option("--patches", help="Folder patches/ of the CLAM run, if it is elsewhere.")
    ] = None,
    space: Space = "mini",
    tile_stride_um: Stride = None,
    overlap: Overlap = None,
    annotations: Annotations = None,
    drop_class: DropClass = None,
    aggregator: Aggregator = None,
    manifest: ManifestPath = None,
    device: Device = "cpu",
    again: Annotated[bool, typer.Option("--again", help="Encode slides anew that have not changed.")] = False,
    workers: Workers = None,
    batch_size: BatchSize = None,
    shard: ShardText = None,
    fail_fast: FailFast = False,
    wait: Wait = 0.0,
    dry_run: DryRun = False,
    hash_names: HashNames = None,
    as_json: AsJson = False,
) -> None:
    """Read data sets, files and folders, slides of your own or tiles made elsewhere into an index.

    A folder is read in the format that `--format` names; `--slides` says who its slides are. A second run adds nothing,
    a killed run continues, and a slide that cannot be read is noted while the others go on (exit code 3). Tiles of
    `--features` need the space whose encoder made them; their slides are described by `--slides`, by the manifest, or
    by the metadata of HEST.
    """
    if not names and (format_name is not None or (features is None and slides is None)):
        raise typer.BadParameter("give data sets of the manifest, files with --format, --features or --slides.")
    if label_column is not None and names and format_name is None:
        raise typer.BadParameter("--label-column is a column of files given with --format, --slides or --features.")
    if format_name is not None and features is not None:
        raise typer.BadParameter("give --format or --features, one of them.")
    if tile_stride_um is not None and overlap is not None:
        raise typer.BadParameter("give --tile-stride-um or --overlap, one of them.")
    if annotations is not None and features is not None:
        raise typer.BadParameter("--annotations choose where tiles are cut; those of --features were cut elsewhere.")
    from app.cli.format_sources import check_names, circumstances, sources_at
    from encoders.registry import open_space
    from indexer.building.build import build_index
    from indexer.datasets.manifest import load_manifest
    from indexer.formats import choose_format
    from indexer.readers.table_slide import read_slide_table
    from indexer.safety.names import NameHasher, read_salt
    from indexer.sources import local_gene_table, open_sources
    from indexer.tissue.annotated import annotate

    loaded = load_manifest(manifest)
    if format_name is None:
        check_names(names or (), loaded)
    else:
        choose_format(format_name)  # a misspelt name is told before anything is read
    opened = open_space(space, device=device)
    around = circumstances(loaded, opened, db, label_column=label_column)
    described = None if slides is None else read_slide_table(slides, around)
    placed = [] if format_name is None else sources_at(names or (), format_name, described, around)
    with run_progress() as progress, ended_by_sigterm():
        datasets = (names or ()) if format_name is None else ()
        sources = [
            source
            for name in datasets
            for source in open_sources(name, manifest=loaded, slides=slide, tables=around.tables)
        ]
        tiles = None
        if features is not None:
            tiles = _Tiles(features, features_format, features_encoder, features_side_px, patches)
        own = placed if format_name is not None else _own_sources(described, tiles, loaded, around)
        sources += [source for source in own if slide is None or source.facts.slide in slide]
        if annotations is not None:
            sources = annotate(sources, annotations, drop=drop_class or ())
        stride_um = _stride_um(tile_stride_um, overlap, opened.image.patch.side_um)
        if dry_run:
            show_forecast(db, sources, opened, stride_um=stride_um, progress=progress, as_json=as_json)
            return
        report = build_index(
            db,
            sources,
            opened,
            gene_table=local_gene_table(loaded),
            tile_stride_um=stride_um,
            aggregator=aggregator,
            again=again,
            wait_s=wait_seconds(wait, shard),
            asked=asked_of(context.params, hide_names=hash_names is not None),
            names=None if hash_names is None else NameHasher(read_salt(hash_names, db)),
            run=run_options(
                sources, workers=workers, batch_size=batch_size, shard=shard, fail_fast=fail_fast, device=device
            ),
            progress=progress,
            on_wait=waiting_line(db),
        )
    _show_report(db, report, as_json=as_json)


def _stride_um(stride_um: float | None, overlap: float | None, side_um: float) -> float:
    """Distance of the centres of tiles of a side."""
    return side_um * (1 - overlap) if overlap is not None else stride_um or _STRIDE_UM


def _show_report(db: str, report: "BuildReport", *, as_json: bool) -> None:
    from indexer.genes.report import sum_up

    line = (
        f"{len(report.added)} slides added, {len(report.replaced)} replaced, {len(report.skipped)} were there, "
        f"{len(report.failed)} failed; the index {db} holds {report.n_items:,} items."
    )
    genes = sum_up({run.slide: run.genes for run in report.slides if run.genes is not None})
    views: list[TableView | str] = [line, *genes, *report.notes, *report.warnings, seconds_table(report.seconds)]
    if report.leaks:
        views.append(leaks_table(report.leaks))
    if report.failed:
        from indexer.index import Index

        views.append(failed_table(Index.open(db).failed()))
    views.append(f"The report of this run: histoseek index runs {report.run_id} --db {db}")
    show({"db": db, "report": report}, views, as_json=as_json)
    if report.failed:
        raise typer.Exit(DONE_WITH_FAILURES)


def _own_sources(
    described: "dict[str, TableSlide] | None", tiles: _Tiles | None, manifest: "Manifest", around: "Circumstances"
) -> "list[SlideSource]":
    """Slides of a table, with the tiles of files where there are some."""
    from indexer.features.tiled_slides import open_tiled_slides
    from indexer.sources import open_slide

    if tiles is None:
        return list((described or {}).values())
    return list(
        open_tiled_slides(
            tiles.place,
            layout=tiles.layout,
            patches=tiles.patches,
            side_px=tiles.side_px,
            encoder=tiles.encoder,
            table=described,
            of_manifest=lambda name: open_slide(name, manifest=manifest),
            around=around,
        )
    )


def seconds_table(seconds: dict[str, float]) -> TableView:
    """Time of each stage."""
    rows = [(stage, f"{value:.1f}") for stage, value in seconds.items()]
    return TableView(title="Time", columns=(Column("stage"), Column("seconds", "right")), rows=rows)
