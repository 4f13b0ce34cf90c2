"""`histoseek annotate`: classes of the tiles or spots of a slide."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import IndexOptions, with_options
from app.cli.output import say, show
from app.cli.questions import open_engine
from app.exports.annotation_files import check_suffix, write_annotation
from app.tables.annotation import annotation_table
from app.tables.hits import index_provenance
from search.annotation.annotate import Annotating, Mode
from search.annotation.bulk import bulk_of_items, read_bulk
from search.annotation.classes import Classes, known_sets, marker_set, read_markers
from search.annotation.items import Using
from search.errors import AnnotationError

_DEFAULTS = Annotating()


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("annotate")(annotate)


@with_options(IndexOptions)
def annotate(
    slide: Annotated[str, typer.Argument(help="The slide.")],
    *,
    markers: Annotated[
        Path | None,
        typer.Option("--markers", help="Genes of each class: .yaml, .gmt, or .csv with class, gene, weight."),
    ] = None,
    named: Annotated[
        str | None, typer.Option("--set", help=f"Genes that come with the project: {', '.join(known_sets())}.")
    ] = None,
    bulk: Annotated[
        Path | None, typer.Option("--bulk", help="Profile of each class: .csv or .tsv (genes x classes), or .h5ad.")
    ] = None,
    bulk_label: Annotated[
        str | None, typer.Option("--bulk-label", help="Column of the .h5ad's obs whose rows are averaged to a class.")
    ] = None,
    bulk_item: Annotated[
        list[str] | None, typer.Option("--bulk-item", help="An item of the index as a class; to be repeated.")
    ] = None,
    using: Annotated[Using | None, typer.Option("--using", help="What is compared; counts first if not given.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only items of this kind.")] = None,
    mode: Annotated[Mode, typer.Option("--mode", help="Calibrated, or a published formula of Loki.")] = "calibrated",
    rate: Annotated[
        float, typer.Option("--rate", help="Share of other patients' items that would be given a class.")
    ] = _DEFAULTS.rate,
    temperature: Annotated[
        float, typer.Option("--temperature", help="Of the softmax over the classes.")
    ] = _DEFAULTS.temperature,
    smooth: Annotated[bool, typer.Option("--smooth", help="Average scores over neighbours.")] = False,
    fewest: Annotated[int, typer.Option("--fewest", min=1, help="Items a region of the GeoJSON has at least.")] = 1,
    out: Annotated[
        list[Path] | None, typer.Option("--out", help="Write .geojson (QuPath), .csv, .h5ad, .png; may be repeated.")
    ] = None,
    options: IndexOptions,
) -> None:
    """Give each tile or spot of a slide a class, by marker genes or bulk profiles, or none."""
    classes = _classes(markers, named, bulk, bulk_label, bulk_item)
    for path in out or ():
        check_suffix(path)
    engine = open_engine(options)
    found = engine.annotate(slide, classes, Annotating(using, kind, mode, temperature, rate, smooth))
    for path in out or ():
        say(f"Written: {write_annotation(found, engine, path, fewest=fewest)}")
    table = annotation_table(found, title=f"Classes on {slide}", provenance=index_provenance(engine))
    show(found.to_dict(), [table], as_json=options.as_json)


def _classes(
    markers: Path | None, named: str | None, bulk: Path | None, bulk_label: str | None, items: list[str] | None
) -> Classes:
    ways = {"--markers": markers, "--set": named, "--bulk": bulk, "--bulk-item": items}
    given = [way for way, value in ways.items() if value]
    if len(given) != 1:
        raise AnnotationError(f"Got {' and '.join(given) or 'no classes'}; give exactly one of {', '.join(ways)}.")
    if markers is not None:
        return read_markers(markers)
    if named is not None:
        return marker_set(named)
    return read_bulk(bulk, label=bulk_label) if bulk is not None else bulk_of_items(items or ())
