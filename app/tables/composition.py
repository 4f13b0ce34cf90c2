"""Cell types as tables: of one query, and of a slide."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.tables.analyses import caption
from app.tables.view import Column, TableView, number
from search.cells.composition import Composition
from search.cells.slide_composition import SlideComposition


def composition_table(found: Composition, *, title: str, provenance: str) -> TableView:
    """Cell types and their shares."""
    return _shares_table(
        found.table.to_pylist(), found.of, title, caption((composition_said(found), *found.notes), provenance)
    )


def coarse_table(found: Composition, *, title: str) -> TableView:
    """Shares of the coarser types, which are sums of the finer ones."""
    return _shares_table(found.coarse, found.of, title, "")


def _shares_table(rows: Sequence[Mapping[str, Any]], of: str, title: str, text: str) -> TableView:
    return TableView(
        title=title,
        columns=(
            Column("cell type"),
            Column(f"share of {'cells' if of == 'cells' else 'RNA'}", "right"),
            Column("90 % interval", "right"),
            Column("reference cells", "right"),
        ),
        rows=[
            (row["type"], number(row["proportion"]), f"{row['low']:.2f}-{row['high']:.2f}", f"{row['n_cells']:,}")
            for row in rows
        ],
        caption=text,
    )


def composition_said(found: Composition) -> str:
    """Where the proportions come from, and how well they fit."""
    if found.n_effective is not None:
        return (
            f"The nearest cells of the reference, worth {found.n_effective:.0f} equally weighted ones, mean cosine "
            f"{found.fit:.2f}."
        )
    source = "the item's own counts" if found.source == "counts" else "the counts of its hits"
    return f"From {source}, {found.n_markers} marker genes, correlation of the fit {found.fit:.2f}."


def slide_composition_table(found: SlideComposition, *, provenance: str) -> TableView:
    """Cell types over the places of a slide."""
    of = "cells" if found.of == "cells" else "RNA"
    told = {"counts": "their own counts", "hits": "the counts of their hits", "vectors": "their vectors"}
    used = "dimensions" if found.source == "vectors" else "marker genes"
    said = f"{len(found):,} places from {told[found.source]}, {found.n_markers} {used} ({found.method})."
    return TableView(
        title=f"Cell types on {found.slide}",
        columns=(
            Column("cell type"),
            Column(f"mean share of {of}", "right"),
            Column("8 in 10 places", "right"),
            Column("most common in", "right"),
        ),
        rows=[
            (
                row["type"],
                number(row["mean"]),
                f"{row['tenth']:.2f}-{row['ninetieth']:.2f}",
                f"{row['n_dominant']:,}",
            )
            for row in found.overall()
        ],
        caption=caption((said, *found.notes), provenance),
    )
