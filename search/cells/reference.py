"""Cell-type references: mean profiles of labelled cells, to decompose spots with."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from search.errors import CellReferenceError

_CP10K = 10_000.0


@dataclass(frozen=True, slots=True)
class CellReference:
    """Mean expression of cell types.

    Attributes
    ----------
    types : tuple of str
        Names of the cell types, sorted.
    genes : tuple of str
        Symbols, unique.
    profiles : float64 (n_types, n_genes)
        Counts of all cells of each type together, per 10,000.
    n_cells : tuple of int
        Cells behind each profile.
    counts_per_cell : tuple of float
        Mean counts of a cell of each type, to tell shares of cells from shares of RNA.
    dropped : tuple of str
        Types left out for having too few cells.
    parents : tuple of str
        The coarser type that each type belongs to; empty if none was given.
    """

    types: tuple[str, ...]
    genes: tuple[str, ...]
    profiles: npt.NDArray[np.float64]
    n_cells: tuple[int, ...]
    counts_per_cell: tuple[float, ...]
    dropped: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()


def reference_from_counts(
    counts: sp.csr_matrix,
    genes: Sequence[str],
    labels: Sequence[str | None],
    *,
    merge: Mapping[str, str] | None = None,
    min_cells: int | None = None,
) -> CellReference:
    """Average labelled cells into a reference.

    Parameters
    ----------
    counts : csr_matrix (n_cells, n_genes)
        Raw counts over all genes that were measured.
    genes : sequence of str
        Symbols of the columns; the counts of repeated symbols are summed.
    labels : sequence of (str or None)
        Cell type of each row; cells without one are left out.
    merge : mapping of str to str, optional
        Types to count as another type, such as `{"B-cells": "Plasmablasts"}`.
    min_cells : int, optional
        Types with fewer cells are left out and named in `dropped`. Without it, a type with one cell is an error.

    Raises
    ------
    CellReferenceError
        If no cell has a label, fewer than two types are left, a type to merge is not there, or a type has one cell or
        no counts.
    """
    names = np.array(["" if _is_missing(label) else str(label) for label in labels], dtype=object)
    if len(names) != counts.shape[0]:
        raise CellReferenceError(f"Got {len(names)} labels for {counts.shape[0]} cells; expected one label per cell.")
    names = _merged(names, merge or {})
    types, n_cells = np.unique(names[names != ""].astype(str), return_counts=True)
    if not len(types):
        raise CellReferenceError(f"None of the {len(names)} cells has a label; name another column.")
    keep = n_cells >= (1 if min_cells is None else min_cells)
    if min_cells is None and (n_cells == 1).any():
        single = ", ".join(types[n_cells == 1])
        raise CellReferenceError(f"Only one cell is labelled {single}; merge it, or leave it out with min_cells=2.")
    if keep.sum() < 2:
        sizes = ", ".join(f"{t} {n}" for t, n in zip(types, n_cells, strict=True))
        raise CellReferenceError(f"Fewer than two cell types have {min_cells or 1} cells ({sizes}); lower min_cells.")
    symbols, merged = _summed(counts, genes)
    means = np.vstack([np.asarray(merged[names == name].mean(axis=0)).ravel() for name in types[keep]])
    per_cell = means.sum(axis=1)
    if not per_cell.all():
        empty = ", ".join(types[keep][per_cell == 0])
        raise CellReferenceError(f"The cells labelled {empty} have no counts; leave them out of the reference.")
    return CellReference(
        types=tuple(types[keep].tolist()),
        genes=symbols,
        profiles=means / per_cell[:, None] * _CP10K,
        n_cells=tuple(n_cells[keep].tolist()),
        counts_per_cell=tuple(per_cell.tolist()),
        dropped=tuple(types[~keep].tolist()),
    )


def reference_from_h5ad(
    path: str | Path,
    label: str,
    *,
    merge: Mapping[str, str] | None = None,
    min_cells: int | None = None,
) -> CellReference:
    """Read a reference from an h5ad file with raw counts in `X` and a label column in `obs`.

    Parameters
    ----------
    path : str or Path
        The h5ad file.
    label : str
        Column of `obs` that names each cell's type.
    merge, min_cells
        See `reference_from_counts`.

    Raises
    ------
    CellReferenceError
        If the file is missing, has no such column or no raw counts, and as in `reference_from_counts`.
    """
    data = _open_h5ad(Path(path), label)
    if data.X is None:
        raise CellReferenceError(f"The reference {Path(path).name} has no X; put raw counts into it.")
    counts = sp.csr_matrix(data.X)
    if counts.nnz and (counts.data.min() < 0 or not np.allclose(counts.data, np.rint(counts.data), atol=1e-3)):
        raise CellReferenceError(
            f"The values of {Path(path).name} are not raw counts (found {counts.data[0]:g}); put raw counts into X."
        )
    return reference_from_counts(counts, list(data.var_names), list(data.obs[label]), merge=merge, min_cells=min_cells)


def check_h5ad(path: str | Path, label: str) -> None:
    """Raise `CellReferenceError` if the file is missing, no h5ad, or lacks the label column; its counts stay unread."""
    _open_h5ad(Path(path), label, backed=True).file.close()


def _open_h5ad(path: Path, label: str, *, backed: bool = False) -> Any:
    import anndata

    if not path.is_file():
        raise CellReferenceError(f"There is no reference file at {path}; give an h5ad with raw counts and labels.")
    try:
        data = anndata.read_h5ad(path, backed="r" if backed else None)
    except (OSError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise CellReferenceError(
            f"The reference {path} cannot be read as h5ad: {error}. Give a whole file written by anndata."
        ) from error
    if label not in data.obs:
        known = ", ".join(map(str, data.obs.columns)) or "none"
        raise CellReferenceError(f"The reference {path.name} has no label column {label!r}; its columns: {known}.")
    return data


def _is_missing(label: Any) -> bool:
    return label is None or label == "" or (isinstance(label, float) and math.isnan(label))


def _merged(names: npt.NDArray[Any], merge: Mapping[str, str]) -> npt.NDArray[Any]:
    absent = sorted(set(merge) - set(names.tolist()))
    if absent:
        known = ", ".join(sorted(set(names.tolist()) - {""}))
        raise CellReferenceError(f"There are no cells labelled {', '.join(absent)} to merge; the labels are: {known}.")
    return np.array([merge.get(name, name) for name in names.tolist()], dtype=object)


def _summed(counts: sp.csr_matrix, genes: Sequence[str]) -> tuple[tuple[str, ...], sp.csr_matrix]:
    symbols, column = np.unique(np.asarray(genes, dtype=str), return_inverse=True)
    sums = sp.csr_matrix((np.ones(len(column)), (np.arange(len(column)), column)), shape=(len(column), len(symbols)))
    return tuple(symbols.tolist()), sp.csr_matrix(sp.csr_matrix(counts, dtype=np.float64) @ sums)
