"""Data sets and their files as tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.tables.view import Column, TableView, size_text, text
from indexer.datasets.manifest import Dataset, Manifest


def dataset_row(dataset: Dataset) -> dict[str, Any]:
    """What `histoseek data list --json` says of one data set."""
    return {
        "name": dataset.name,
        "title": dataset.title,
        "organ": dataset.organ,
        "species": dataset.species,
        "technology": dataset.technology,
        "format": dataset.format,
        "slides": len(dataset.slides),
        "patients": len({slide.patient for slide in dataset.slides.values()}),
        "files": len(dataset.files),
        "bytes": sum(file.bytes for file in dataset.files),
        "licence": dataset.licence,
        "citation": dataset.citation,
        "upstream": dataset.upstream,
    }


def datasets_table(manifest: Manifest) -> TableView:
    """Every data set on a line."""
    rows = [dataset_row(dataset) for dataset in manifest.datasets.values()]
    return TableView(
        title="Data sets",
        columns=(
            Column("name"),
            Column("organ"),
            Column("species"),
            Column("technology", wrap=True),
            Column("slides", "right"),
            Column("patients", "right"),
            Column("files", "right"),
            Column("size", "right"),
            Column("licence", wrap=True),
        ),
        rows=[
            (
                row["name"],
                row["organ"],
                row["species"],
                row["technology"],
                str(row["slides"]),
                str(row["patients"]),
                str(row["files"]),
                size_text(row["bytes"]),
                row["licence"],
            )
            for row in rows
        ],
        caption="Get one with `histoseek data fetch NAME`; larger collections: `histoseek data collections`. Cite: "
        + "; ".join(f"{row['name']}: {row['citation']}" for row in rows),
    )


def files_table(title: str, files: Sequence[Mapping[str, Any]]) -> TableView:
    """Files with what is known of each: `path`, `bytes`, `state`, `note`."""
    return TableView(
        title=title,
        columns=(Column("file"), Column("size", "right"), Column("state"), Column("note", wrap=True)),
        rows=[(file["path"], size_text(file["bytes"]), file["state"], text(file.get("note"))) for file in files],
    )
