"""A cell-type reference from the labelled cells that an index holds."""

from collections.abc import Mapping

import numpy as np

from search.engine import Engine
from search.errors import CellReferenceError
from search.reference import CellReference, reference_from_counts

#: Types with fewer cells than this say too little of a type's mean.
_MIN_CELLS = 10
_PER = 10_000


def generated_reference() -> CellReference:
    """The profiles that the counts of generated sections are drawn from."""
    from indexer.generated_counts import GENES, type_profiles
    from indexer.generated_tissue import CELL_TYPES

    order = np.argsort(CELL_TYPES)
    types = tuple(CELL_TYPES[place] for place in order)
    return CellReference(types, GENES, type_profiles()[order] * _PER, n_cells=(0,) * len(types))


def reference_of_index(engine: Engine, *, merge: Mapping[str, str] | None = None) -> CellReference:
    """Average the labelled cells of the index by type; types with fewer than 10 cells are left out and named.

    Parameters
    ----------
    engine : Engine
        The index.
    merge : mapping of str to str, optional
        Types to count as another type.

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
    return reference_from_counts(counts, engine.index.genes, labels[rows].tolist(), merge=merge, min_cells=_MIN_CELLS)
