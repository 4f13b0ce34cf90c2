"""Cell-type references of the command line and the screens: a file of labelled cells, or those of an index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.errors import ShowError
from search.cells.reference import CellReference, check_h5ad, reference_from_counts, reference_from_h5ad
from search.engine import Engine
from search.errors import CellReferenceError

DEFAULT_LABEL = "celltype_major"

#: Types with fewer cells than this say too little of a type's mean.
_MIN_CELLS = 10
_PER = 10_000


@dataclass(frozen=True, slots=True)
class ReferenceFile:
    """Labelled cells in a file.

    Attributes
    ----------
    path : Path
        The h5ad file.
    label : str
        Column of `obs` that names each cell's type.
    merge : tuple of (str, str)
        Types to count as another, `(type, as)`.
    """

    path: Path
    label: str = DEFAULT_LABEL
    merge: tuple[tuple[str, str], ...] = ()

    def check(self) -> None:
        """Raise `CellReferenceError` if the file is missing, no h5ad, or lacks the label column."""
        check_h5ad(self.path, self.label)

    def read(self) -> CellReference:
        """Average the cells by type; types with fewer than 10 are left out and named. Raises `CellReferenceError`."""
        return reference_from_h5ad(self.path, self.label, merge=dict(self.merge), min_cells=_MIN_CELLS)


def parse_merge(pairs: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Read `TYPE=AS` pairs; raises `ShowError` for anything else."""
    merge = []
    for pair in pairs:
        cell_type, _, as_type = (part.strip() for part in pair.partition("="))
        if not cell_type or not as_type:
            raise ShowError(f'Cannot read the types to merge {pair!r}; expected TYPE=AS, e.g. "B-cells=Plasmablasts".')
        merge.append((cell_type, as_type))
    return tuple(merge)


def generated_reference() -> CellReference:
    """The profiles that the counts of generated sections are drawn from."""
    from indexer.generated.counts import GENES, type_profiles
    from indexer.generated.tissue import CELL_TYPES

    order = np.argsort(CELL_TYPES)
    types = tuple(CELL_TYPES[place] for place in order)
    none, alike = (0,) * len(types), (1.0,) * len(types)
    return CellReference(types, GENES, type_profiles()[order] * _PER, n_cells=none, counts_per_cell=alike)


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
