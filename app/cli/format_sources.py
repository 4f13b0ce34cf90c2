"""Slides of files in a named format, as `histoseek ingest PATH --format NAME` takes them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import ManifestError

if TYPE_CHECKING:
    from encoders.space import Space
    from indexer.datasets.manifest import Manifest
    from indexer.format import Circumstances
    from indexer.readers.table_slide import TableSlide
    from indexer.slides import SlideSource


def circumstances(manifest: "Manifest", space: "Space", db: str, *, label_column: str | None = None) -> "Circumstances":
    """Tables of gene names, spelt as the space and the index know them, and the column of labels."""
    from indexer.format import Circumstances
    from indexer.sources import local_gene_names
    from indexer.store.location import locate
    from indexer.store.writer import stored_panel

    panel = stored_panel(locate(db))
    known = (*space.expression.genes, *(() if panel is None else panel.symbols))
    return Circumstances(tables=local_gene_names(manifest).spelt_as(known), label_column=label_column)


def sources_at(
    places: Sequence[str], format_name: str, described: "dict[str, TableSlide] | None", around: "Circumstances"
) -> "list[SlideSource]":
    """Slides of files and folders, described by a table where there is one. Raises `DataError`."""
    from indexer.format import Said
    from indexer.formats import find_slides

    said = {name: Said(slide.given_facts, slide.image_path) for name, slide in (described or {}).items()}
    return [
        source
        for place in places
        for source in find_slides(
            Path(place), format_name, replace(around, said=said, cohort=Path(place).resolve().name)
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
