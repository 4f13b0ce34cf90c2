"""`histoseek ingest`: data sets of the manifest, slides of one's own, and tiles made elsewhere."""

from typing import TYPE_CHECKING, Any

import typer

from app.cli.asked import asked_of
from app.cli.dry_run import show_forecast
from app.cli.ingest_options import IngestOptions, Names
from app.cli.options import with_options
from app.cli.output import DONE_WITH_FAILURES, show
from app.cli.run_flags import ended_by_sigterm, run_options, wait_seconds, waiting_line
from app.cli.run_lines import run_progress
from app.tables.index import failed_table
from app.tables.leak import leaks_table
from app.tables.view import Column, TableView

if TYPE_CHECKING:
    from encoders.space import Space
    from indexer.building.report import BuildReport
    from indexer.datasets.manifest import Manifest
    from indexer.format import Circumstances
    from indexer.progress import Progress
    from indexer.readers.table_slide import TableSlide
    from indexer.slides import SlideSource


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("ingest")(ingest)


@with_options(IngestOptions)
def ingest(context: typer.Context, names: Names = None, *, options: IngestOptions) -> None:
    """Read data sets, files and folders, slides of your own or tiles made elsewhere into an index.

    A folder is read in the format that `--format` names; `--slides` says who its slides are. A second run adds nothing,
    a killed run continues, and a slide that cannot be read is noted while the others go on (exit code 3). Tiles of
    `--features` need the space whose encoder made them; their slides are described by `--slides`, by the manifest, or
    by the metadata of HEST.
    """
    options.check(names or [])
    from app.cli.format_sources import check_names
    from encoders.registry import open_space
    from indexer.datasets.manifest import load_manifest
    from indexer.formats import choose_format

    loaded = load_manifest(options.manifest)
    if options.format_name is None:
        check_names(names or (), loaded)
    else:
        choose_format(options.format_name)  # a misspelt name is told before anything is read
    opened = open_space(options.space, device=options.device)
    placed = _Placed(names or [], options, loaded, opened)
    with run_progress() as progress, ended_by_sigterm():
        sources = placed.sources()
        if options.dry_run:
            stride_um = options.stride_um(opened.image.patch.side_um)
            show_forecast(options.db, sources, opened, stride_um=stride_um, progress=progress, as_json=options.as_json)
            return
        asked = asked_of(context.params, hide_names=options.hash_names is not None)
        report = _built(sources, opened, loaded, options, asked, progress)
    _show_report(options.db, report, as_json=options.as_json)


class _Placed:
    """What is to be read: names of data sets or paths, and the tables that describe them, which are read at once."""

    def __init__(self, names: list[str], options: IngestOptions, manifest: "Manifest", space: "Space") -> None:
        from app.cli.format_sources import circumstances, sources_at
        from indexer.readers.table_slide import read_slide_table

        self._datasets = names if options.format_name is None else []
        self._options, self._manifest = options, manifest
        self._around = circumstances(manifest, space, options.db, label_column=options.label_column)
        table = options.slides
        self._described = None if table is None else read_slide_table(table, self._around)
        name = options.format_name
        self._own = None if name is None else sources_at(names, name, self._described, self._around)

    def sources(self) -> "list[SlideSource]":
        """Slides of data sets, files, tables and features, with the regions that are given."""
        from indexer.sources import open_sources
        from indexer.tissue.annotated import annotate

        options, tables = self._options, self._around.tables
        sources = [
            source
            for name in self._datasets
            for source in open_sources(name, manifest=self._manifest, slides=options.slide, tables=tables)
        ]
        own = self._own
        if own is None:
            own = _own_sources(self._described, options, self._manifest, self._around)
        sources += [source for source in own if options.slide is None or source.facts.slide in options.slide]
        if options.annotations is not None:
            sources = annotate(sources, options.annotations, drop=options.drop_class or ())
        return sources


def _built(
    sources: "list[SlideSource]",
    space: "Space",
    manifest: "Manifest",
    options: IngestOptions,
    asked: dict[str, Any],
    progress: "Progress",
) -> "BuildReport":
    from indexer.building.build import build_index
    from indexer.safety.names import NameHasher, read_salt
    from indexer.sources import local_gene_table

    salt = options.hash_names
    return build_index(
        options.db,
        sources,
        space,
        gene_table=local_gene_table(manifest),
        tile_stride_um=options.stride_um(space.image.patch.side_um),
        aggregator=options.aggregator,
        again=options.again,
        wait_s=wait_seconds(options.wait, options.shard),
        asked=asked,
        names=None if salt is None else NameHasher(read_salt(salt, options.db)),
        run=run_options(
            sources,
            workers=options.workers,
            batch_size=options.batch_size,
            shard=options.shard,
            fail_fast=options.fail_fast,
            device=options.device,
        ),
        progress=progress,
        on_wait=waiting_line(options.db),
    )


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
    described: "dict[str, TableSlide] | None", options: IngestOptions, manifest: "Manifest", around: "Circumstances"
) -> "list[SlideSource]":
    """Slides of a table, with the tiles of files where there are some."""
    from indexer.features.tiled_slides import open_tiled_slides
    from indexer.sources import open_slide

    if options.features is None:
        return list((described or {}).values())
    return list(
        open_tiled_slides(
            options.features,
            layout=options.features_format,
            patches=options.patches,
            side_px=options.features_side_px,
            encoder=options.features_encoder,
            table=described,
            of_manifest=lambda name: open_slide(name, manifest=manifest),
            around=around,
        )
    )


def seconds_table(seconds: dict[str, float]) -> TableView:
    """Time of each stage."""
    rows = [(stage, f"{value:.1f}") for stage, value in seconds.items()]
    return TableView(title="Time", columns=(Column("stage"), Column("seconds", "right")), rows=rows)
