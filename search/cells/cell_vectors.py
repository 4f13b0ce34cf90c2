"""Labelled cells as vectors of a space, which tiles and spots can be compared with one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.contracts import ExpressionEncoder, Vectors, unit_rows
from search.catalogue import Catalogue
from search.cells.reference import labelled, read_labelled
from search.errors import CellReferenceError
from search.item_rows import vectors_of
from search.profiles import Doubles


@dataclass(frozen=True, slots=True)
class CellVectors:
    """Cells of known type in a space.

    Attributes
    ----------
    types : tuple of str
        Names of the cell types, sorted.
    codes : int64 (n,)
        Type of each cell.
    vectors : float32 (n, dim)
        Unit vectors.
    parents : tuple of str
        The coarser type that each type belongs to; empty if none was given.
    dropped : tuple of str
        Types left out for having too few cells.
    """

    types: tuple[str, ...]
    codes: npt.NDArray[np.int64]
    vectors: Vectors
    parents: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def n_cells(self) -> tuple[int, ...]:
        """Cells of each type."""
        return tuple(np.bincount(self.codes, minlength=len(self.types)).tolist())

    @property
    def means(self) -> Doubles:
        """Mean vector of each type, float64 `(n_types, dim)`."""
        return np.vstack([self.vectors[self.codes == t].mean(axis=0, dtype=np.float64) for t in range(len(self.types))])


def cell_vectors_of_index(
    catalogue: Catalogue, *, merge: Mapping[str, str] | None = None, min_cells: int | None = None
) -> CellVectors:
    """Labelled cells of an index with a vector; raises `CellReferenceError` as `reference_from_counts` does."""
    there = (catalogue.column("kind") == "cell") & catalogue.has("expression")
    rows = np.flatnonzero(there)
    if not len(rows):
        raise CellReferenceError("The index holds no cells with a vector. Give some as .h5ad, or ingest some.")
    labels = catalogue.column("label")[rows].tolist()
    return _kept(labels, vectors_of(catalogue, rows, "expression"), merge, min_cells, None)


def cell_vectors_from_h5ad(
    path: str | Path,
    label: str,
    encoder: ExpressionEncoder,
    *,
    merge: Mapping[str, str] | None = None,
    min_cells: int | None = None,
    coarse: str | None = None,
) -> CellVectors:
    """Encode the cells of an h5ad file with the expression side of a space, centred on their own mean.

    Parameters
    ----------
    path, label, merge, min_cells, coarse
        As in `search.cells.reference.reference_from_h5ad`.
    encoder : ExpressionEncoder
        Of the space that the index lives in: `engine.space.expression`.

    Raises
    ------
    CellReferenceError
        As in `reference_from_h5ad`.
    """
    read = read_labelled(path, label, coarse)
    vectors = encoder.encode_counts(read.counts, read.genes, by_section=True).vectors
    return _kept(read.labels, unit_rows(vectors), merge, min_cells, read.coarse)


def _kept(
    labels: Sequence[Any],
    vectors: Vectors,
    merge: Mapping[str, str] | None,
    min_cells: int | None,
    coarse: Sequence[Any] | None,
) -> CellVectors:
    groups = labelled(labels, merge=merge, min_cells=min_cells, coarse=coarse)
    types = np.array(groups.types)
    rows = np.flatnonzero(np.isin(groups.names, types) & vectors.any(axis=1))
    codes = np.searchsorted(types, groups.names[rows].astype(str)).astype(np.int64)
    return CellVectors(groups.types, codes, vectors[rows], groups.parents, groups.dropped)
