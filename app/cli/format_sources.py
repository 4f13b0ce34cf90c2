"""Slides of files in a named format, as `histoseek ingest PATH --format NAME` takes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import ManifestError

if TYPE_CHECKING:
    from indexer.datasets.manifest import Manifest
    from indexer.readers.table_slide import TableSlide
    from indexer.slides import SlideSource


def sources_at(
    places: Sequence[str], format_name: str, described: "dict[str, TableSlide] | None", manifest: "Manifest"
) -> "list[SlideSource]":
    """Slides of files and folders, described by a table where there is one. Raises `DataError`."""
    from indexer.format import Circumstances, Said
    from indexer.formats import choose_format, find_slides
    from indexer.sources import local_gene_names

    choose_format(format_name)  # a misspelt name is told before tables are read
    said = {name: Said(slide.given_facts, slide.image_path) for name, slide in (described or {}).items()}
    tables = local_gene_names(manifest)
    return [
        source
        for place in places
        for source in find_slides(
            Path(place), format_name, Circumstances(said, tables, cohort=Path(place).resolve().name)
        )
    ]


def check_names(names: Sequence[str], manifest: "Manifest") -> None:
    """Raise `ManifestError` for a path that is given without its format."""
    from indexer.formats import FORMATS

    for name in names:
        if name not in manifest.datasets and Path(name).exists():
            listed = "; ".join(f"{one.name}: {one.reads}" for one in FORMATS.values())
            raise ManifestError(
                f"{name} is no data set of the manifest. To ingest files, add --format, one of {listed}."
            )
