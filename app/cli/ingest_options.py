"""Options of `histoseek ingest`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import DEFAULT_DB, AsJson, Db, Device, ManifestPath, Space
from app.cli.run_flags import BatchSize, FailFast, ShardText, Workers
from app.cli.upkeep_verbs import Wait
from indexer.features.tile_files import TileFormat

DEFAULT_STRIDE_UM = 200.0
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
class RunOptions:
    """What is read, how it is cut into tiles, and how the run goes."""

    db: Db = DEFAULT_DB
    slide: Only = None
    slides: Table = None
    format_name: Format = None
    label_column: Labels = None
    space: Space = "mini"
    tile_stride_um: Stride = None
    overlap: Overlap = None
    annotations: Annotations = None
    drop_class: DropClass = None
    aggregator: Aggregator = None
    manifest: ManifestPath = None
    device: Device = "cpu"
    again: Annotated[bool, typer.Option("--again", help="Encode slides anew that have not changed.")] = False
    workers: Workers = None
    batch_size: BatchSize = None
    shard: ShardText = None
    fail_fast: FailFast = False
    wait: Wait = 0.0
    dry_run: DryRun = False
    hash_names: HashNames = None
    as_json: AsJson = False


@dataclass(frozen=True, slots=True)
class IngestOptions(RunOptions):
    """The same, and tiles made elsewhere: where they are, and what is said of them."""

    features: Features = None
    features_format: Annotated[
        TileFormat | None, typer.Option("--features-format", help="Whose layout; by default told from each file.")
    ] = None
    features_encoder: Annotated[
        str | None, typer.Option("--features-encoder", help="What made features of CLAM, which does not say it.")
    ] = None
    features_side_px: Annotated[
        float | None, typer.Option("--features-side-px", help="Side of a tile in level-0 pixels, if no file says it.")
    ] = None
    patches: Annotated[
        Path | None, typer.Option("--patches", help="Folder patches/ of the CLAM run, if it is elsewhere.")
    ] = None

    def check(self, names: list[str]) -> None:
        """Raise `typer.BadParameter` for options that exclude each other, or if nothing is to be read."""
        if not names and (self.format_name is not None or (self.features is None and self.slides is None)):
            raise typer.BadParameter("give data sets of the manifest, files with --format, --features or --slides.")
        if self.label_column is not None and names and self.format_name is None:
            raise typer.BadParameter("--label-column is a column of files given with --format, --slides or --features.")
        if self.format_name is not None and self.features is not None:
            raise typer.BadParameter("give --format or --features, one of them.")
        if self.tile_stride_um is not None and self.overlap is not None:
            raise typer.BadParameter("give --tile-stride-um or --overlap, one of them.")
        if self.annotations is not None and self.features is not None:
            raise typer.BadParameter("--annotations say where tiles are cut; those of --features were cut elsewhere.")

    def stride_um(self, side_um: float) -> float:
        """Distance of the centres of tiles of a side."""
        return side_um * (1 - self.overlap) if self.overlap is not None else self.tile_stride_um or DEFAULT_STRIDE_UM
