"""An index, its slides and its failures as tables."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from app.tables.view import Column, TableView, size_text, text
from encoders.aggregators import MEAN
from indexer.index import Index
from indexer.store.card import IndexCard
from indexer.upkeep.inventory import Inventory, take_inventory

#: Columns of the `slides` table that are too large or too raw to print.
_HIDDEN = ("thumbnail", "section_stats")


def index_summary(index: Index) -> dict[str, Any]:
    """What `histoseek index stats --json` says: card, slides and failures."""
    return {
        "card": index.card.model_dump(mode="json", exclude={"space": {"calibration"}}),
        "storage": _storage(take_inventory(index)),
        "slides": slide_rows(index),
        "failed": index.failed().to_pylist(),
    }


def _storage(found: Inventory) -> dict[str, Any]:
    return asdict(found) | {"tuning": {side: tuning.model_dump() for side, tuning in found.tuning.items()}}


def slide_rows(index: Index) -> list[dict[str, Any]]:
    """Facts of every slide, without its pictures."""
    slides = index.slides()
    rows: list[dict[str, Any]] = slides.drop_columns(
        [name for name in _HIDDEN if name in slides.column_names]
    ).to_pylist()
    return rows


def card_lines(card: IndexCard) -> list[str]:
    """An index in two sentences; in three where slides are described by more than their mean."""
    kinds = ", ".join(f"{count:,} {kind}s" for kind, count in card.counts.items() if count and kind != "slide")
    space = f"Space {card.space.name} {card.space.revision}, {card.space.dim} dimensions"
    return [
        f"{card.n_slides} slides; {kinds}; {card.n_genes:,} genes in the panel.",
        f"{space}, patches of {card.tiling.side_um:g} µm; tiles every {card.tiling.stride_um:g} µm.",
        *([] if card.aggregator == MEAN else [f"Whole slides are compared by {card.aggregator}."]),
    ]


def storage_lines(index: Index) -> list[str]:
    """Versions, data files, and rows that are not in the sidecars yet, in two sentences."""
    found = take_inventory(index)
    tails = ", ".join(f"{count:,} {modality}" for modality, count in found.tail_rows.items())
    versions = f"Version {found.version}; {len(found.versions)} can be opened, {len(found.tags)} have a tag."
    tables = f"Tables {size_text(found.bytes_tables)} in {sum(found.fragments.values())} data files"
    tail = f"{tails} vectors newer than those (`histoseek index optimize` folds them in)"
    lines = [versions, f"{tables}, vector files {size_text(found.bytes_sidecars)}; {tail}."]
    if found.lance_rows:
        held = ", ".join(
            f"{n:,} rows ({beside:,} beside it) for {side}" for side, (n, beside) in found.lance_rows.items()
        )
        lines.append(f"LanceDB's own index holds {held}; `--engine lance` searches it.")
    lines += [
        f"Tuned on its {side} vectors: recall@{set_.k} {set_.recall:.3f}, p50 {set_.p50_ms:.2f} ms when measured; "
        f"{set_.tolerance:g} of the hits may lie in lists not scanned."
        for side, set_ in found.tuning.items()
    ]
    return lines


def cohorts_held_table(index: Index) -> TableView:
    """What the index holds, a cohort on a line, with its licence."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in slide_rows(index):
        key = (row["cohort"], row["organ"], row["technology"], row["licence"], "yes" if row["generated"] else "no")
        groups.setdefault(key, []).append(row)
    rows = []
    for (cohort, organ, technology, licence, generated), slides in groups.items():
        n_patients = len({slide["patient"] for slide in slides})
        n_images = sum(slide["width_px"] is not None for slide in slides)
        counts = [f"{sum(slide[name] for slide in slides):,}" for name in ("n_spots", "n_cells", "n_tiles")]
        rows.append(
            (cohort, organ, technology, str(n_patients), str(len(slides)), str(n_images), *counts, generated, licence)
        )
    return TableView(
        title="What the index holds",
        columns=(
            Column("cohort"),
            Column("organ"),
            Column("technology", wrap=True),
            Column("patients", "right"),
            Column("slides", "right"),
            Column("with image", "right"),
            Column("spots", "right"),
            Column("cells", "right"),
            Column("tiles", "right"),
            Column("generated"),
            Column("licence", wrap=True),
        ),
        rows=rows,
        caption="Cite: " + "; ".join(sorted({str(row["citation"]) for row in slide_rows(index)})),
    )


def slides_table(index: Index) -> TableView:
    """Every slide on a line."""
    names = ("slide", "patient", "cohort", "diagnosis", "mpp", "mpp_source", "n_spots", "n_cells", "n_tiles")
    return TableView(
        title="Slides",
        columns=tuple(Column(name, "right" if name.startswith(("n_", "mpp")) else "left") for name in names),
        rows=[tuple(_cell(row[name]) for name in names) for row in slide_rows(index)],
    )


def failed_table(failed: pa.Table) -> TableView:
    """Slides that could not be read, with the reason."""
    return TableView(
        title="Failed slides",
        columns=(Column("slide"), Column("error"), Column("reason", wrap=True)),
        rows=[(row["slide"], row["error"], row["reason"]) for row in failed.to_pylist()],
        caption="Mend the files and run the same command again; finished slides are kept.",
    )


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else text(value)
