"""A cell-type reference from the labelled cells that an index holds."""

import numpy as np

from search.engine import Engine
from search.errors import CellReferenceError
from search.reference import CellReference, reference_from_counts

#: Types with fewer cells than this say too little of a type's mean.
_MIN_CELLS = 10


def reference_of_index(engine: Engine) -> CellReference:
    """Average the labelled cells of the index by type; types with fewer than 10 cells are left out and named.

    Raises
    ------
    CellReferenceError
        If the index holds no labelled cells.
    """
    labels = engine.catalogue.column("label")
    named = np.array([label is not None for label in labels], dtype=bool)
    rows = np.flatnonzero((engine.catalogue.column("kind") == "cell") & named)
    if not len(rows):
        raise CellReferenceError(
            "The index holds no labelled cells. Give a reference with --reference CELLS.h5ad, or ingest one, such as "
            "wu2021."
        )
    counts = engine.index.expression(rows)
    return reference_from_counts(counts, engine.index.genes, labels[rows].tolist(), min_cells=_MIN_CELLS)
