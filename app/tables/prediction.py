"""Predicted expression of a whole slide as a table: how well each gene was predicted, here and on other patients."""

import numpy as np

from app.tables.analyses import caption, unpredictable_said
from app.tables.view import Column, TableView, number
from search.expression.slide_prediction import SlidePrediction


def slide_prediction_table(found: SlidePrediction, *, provenance: str, most: int = 20) -> TableView:
    """The genes best predicted on other patients first; by name where none was measured."""
    order = np.argsort(-np.nan_to_num(found.r, nan=-2.0), kind="stable")[:most]
    predictable = found.predictable()
    over = f"{len(found.genes) - len(order):,} more genes are in the file." if len(found.genes) > len(order) else ""
    mean = found.predicted.mean(axis=0)
    spread = found.predicted.std(axis=0)
    return TableView(
        title=f"Predicted expression of {len(found):,} places of {found.slide}",
        columns=(
            Column("gene"),
            Column("mean", "right"),
            Column("sd over the slide", "right"),
            Column("r on others", "right"),
            Column("r here", "right"),
        ),
        rows=[
            (
                found.genes[gene] if predictable[gene] else f"{found.genes[gene]} ?",
                *(number(float(values[gene]), 2) for values in (mean, spread, found.r, found.r_here)),
            )
            for gene in order
        ],
        caption=caption(
            (
                "log(1 + counts per 10,000).",
                f"Up to {found.n_neighbours:,} neighbours a place ({found.mode}).",
                *found.notes,
                *unpredictable_said(int((~predictable).sum())),
                *([over] if over else []),
            ),
            provenance,
        ),
        faint=[place for place, gene in enumerate(order) if not predictable[gene]],
    )
