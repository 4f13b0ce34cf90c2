"""Cell-type references of the command line and the screens: a file of labelled cells, or those of an index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.errors import ShowError
from encoders.contracts import ExpressionEncoder
from search.cells.cell_vectors import CellVectors, cell_vectors_from_h5ad, cell_vectors_of_index
from search.cells.reference import CellReference, check_h5ad, reference_from_counts, reference_from_h5ad
from search.cells.signatures import SEPARATORS, reference_from_table
from search.engine import Engine
from search.errors import CellReferenceError

DEFAULT_LABEL = "celltype_major"

#: Types with fewer cells than this say too little of a type's mean.
_MIN_CELLS = 10
_PER = 10_000


@dataclass(frozen=True, slots=True)
class ReferenceFile:
    """Labelled cells in a file, or a signature table.

    Attributes
    ----------
    path : Path
        The h5ad file; or a table of genes by types, which has no labels, merges or coarser types.
    label : str
        Column of `obs` that names each cell's type.
    merge : tuple of (str, str)
        Types to count as another, `(type, as)`.
    coarse : str or None
        Column of `obs` that names each cell's coarser type.
    """

    path: Path
    label: str = DEFAULT_LABEL
    merge: tuple[tuple[str, str], ...] = ()
    coarse: str | None = None

    def check(self) -> None:
        """Raise `CellReferenceError` if the file is missing, no h5ad or table, or lacks a label column."""
        if self._is_table:
            self.read()
        else:
            check_h5ad(self.path, self.label, self.coarse)

    def read(self) -> CellReference:
        """Average the cells by type, or read a signature table (`.csv`, `.tsv`).

        Types with fewer than 10 cells are left out and named. Raises `CellReferenceError`, and `ShowError` if a table
        is to be merged or summed up.
        """
        if not self._is_table:
            merge = dict(self.merge)
            return reference_from_h5ad(self.path, self.label, merge=merge, min_cells=_MIN_CELLS, coarse=self.coarse)
        if self.merge or self.coarse:
            raise ShowError(
                f"{self.path.name} is a signature table, which has no cells to merge or to sum up by another label; "
                "give the cells as .h5ad for that."
            )
        return reference_from_table(self.path)

    def read_vectors(self, encoder: ExpressionEncoder) -> CellVectors:
        """Encode the cells one by one; raises `CellReferenceError`, and `ShowError` for a table."""
        if self._is_table:
            raise ShowError(f"{self.path.name} is a signature table and holds no cells to encode; give cells as .h5ad.")
        merge = dict(self.merge)
        return cell_vectors_from_h5ad(
            self.path, self.label, encoder, merge=merge, min_cells=_MIN_CELLS, coarse=self.coarse
        )

    @property
    def _is_table(self) -> bool:
        return any(suffix.lower() in SEPARATORS for suffix in self.path.suffixes[-2:])


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


def cell_vectors(engine: Engine, given: ReferenceFile | None, merge: Mapping[str, str]) -> CellVectors:
    """Cells as vectors, from a file or else from the index; types with fewer than 10 cells are left out and named."""
    if given is not None:
        return given.read_vectors(engine.space.expression)
    return cell_vectors_of_index(engine.catalogue, merge=merge, min_cells=_MIN_CELLS)


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
