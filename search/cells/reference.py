"""Cell-type references: mean profiles of labelled cells, to decompose spots with."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

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
    coarse: Sequence[str | None] | None = None,
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
    coarse : sequence of (str or None), optional
        Coarser type of each row; the cells of a type must all be of one.

    Raises
    ------
    CellReferenceError
        If a count is negative, no cell has a label, fewer than two types are left, a type to merge is not there, a type
        has one cell or no counts, or its cells are of several coarser types.
    """
    if len(labels) != counts.shape[0]:
        raise CellReferenceError(f"Got {len(labels)} labels for {counts.shape[0]} cells; expected one label per cell.")
    groups = labelled(labels, merge=merge, min_cells=min_cells, coarse=coarse)
    types = np.array(groups.types)
    if counts.nnz and counts.data.min() < 0:
        raise CellReferenceError(
            f"The cells hold a value of {counts.data.min():g}; expected raw counts, none negative."
        )
    symbols, merged = _summed(counts, genes)
    means = np.vstack([np.asarray(merged[groups.names == name].mean(axis=0)).ravel() for name in types])
    per_cell = means.sum(axis=1)
    if not per_cell.all():
        empty = ", ".join(types[per_cell == 0])
        raise CellReferenceError(f"The cells labelled {empty} have no counts; leave them out of the reference.")
    return CellReference(
        types=groups.types,
        genes=symbols,
        profiles=means / per_cell[:, None] * _CP10K,
        n_cells=groups.n_cells,
        counts_per_cell=tuple(per_cell.tolist()),
        dropped=groups.dropped,
        parents=groups.parents,
    )


class Labelled(NamedTuple):
    """Cells by type: the name of each (empty without a label), the types kept, their sizes and coarser types."""

    names: npt.NDArray[Any]
    types: tuple[str, ...]
    n_cells: tuple[int, ...]
    dropped: tuple[str, ...]
    parents: tuple[str, ...]


def labelled(
    labels: Sequence[Any],
    *,
    merge: Mapping[str, str] | None = None,
    min_cells: int | None = None,
    coarse: Sequence[Any] | None = None,
) -> Labelled:
    """Group cells by their label; arguments and errors as in `reference_from_counts`."""
    names = np.array(["" if _is_missing(label) else str(label) for label in labels], dtype=object)
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
    return Labelled(
        names=names,
        types=tuple(types[keep].tolist()),
        n_cells=tuple(n_cells[keep].tolist()),
        dropped=tuple(types[~keep].tolist()),
        parents=() if coarse is None else _parents(names, coarse, types[keep]),
    )


def reference_from_h5ad(
    path: str | Path,
    label: str,
    *,
    merge: Mapping[str, str] | None = None,
    min_cells: int | None = None,
    coarse: str | None = None,
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
    coarse : str, optional
        Column of `obs` that names each cell's coarser type, such as `celltype_major` beside `celltype_minor`.

    Raises
    ------
    CellReferenceError
        If the file is missing, has no such column or no raw counts, and as in `reference_from_counts`.
    """
    read = read_labelled(path, label, coarse)
    return reference_from_counts(
        read.counts, read.genes, read.labels, merge=merge, min_cells=min_cells, coarse=read.coarse
    )


class LabelledCounts(NamedTuple):
    """Raw counts csr `(n_cells, n_genes)`, symbols, and labels of cells, coarser ones where they were asked for."""

    counts: sp.csr_matrix
    genes: list[str]
    labels: list[Any]
    coarse: list[Any] | None


def read_labelled(path: str | Path, label: str, coarse: str | None = None) -> LabelledCounts:
    """Read labelled cells; arguments and errors as in `reference_from_h5ad`."""
    data = _open_h5ad(Path(path), label, coarse)
    if data.X is None:
        raise CellReferenceError(f"The reference {Path(path).name} has no X; put raw counts into it.")
    counts = sp.csr_matrix(data.X)
    if counts.nnz and (counts.data.min() < 0 or not np.allclose(counts.data, np.rint(counts.data), atol=1e-3)):
        found = counts.data[(counts.data < 0) | (np.abs(counts.data - np.rint(counts.data)) > 1e-3)][0]
        raise CellReferenceError(
            f"The values of {Path(path).name} are not raw counts (found {found:g}); put raw counts into X."
        )
    above = None if coarse is None else list(data.obs[coarse])
    return LabelledCounts(counts, [str(gene) for gene in data.var_names], list(data.obs[label]), above)


def check_h5ad(path: str | Path, label: str, coarse: str | None = None) -> None:
    """Raise `CellReferenceError` if the file is missing, no h5ad, or lacks a label column; its counts stay unread."""
    _open_h5ad(Path(path), label, coarse, backed=True).file.close()


def _open_h5ad(path: Path, label: str, coarse: str | None, *, backed: bool = False) -> Any:
    import anndata

    if not path.is_file():
        raise CellReferenceError(f"There is no reference file at {path}; give an h5ad with raw counts and labels.")
    try:
        data = anndata.read_h5ad(path, backed="r" if backed else None)
    except (OSError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise CellReferenceError(
            f"The reference {path} cannot be read as h5ad: {error}. Give a whole file written by anndata."
        ) from error
    for column in (label,) if coarse is None else (label, coarse):
        if column not in data.obs:
            known = ", ".join(map(str, data.obs.columns)) or "none"
            raise CellReferenceError(f"The reference {path.name} has no label column {column!r}; its columns: {known}.")
    return data


def _parents(names: npt.NDArray[Any], coarse: Sequence[str | None], types: npt.NDArray[Any]) -> tuple[str, ...]:
    """The one coarser type that the cells of each type are of."""
    if len(coarse) != len(names):
        raise CellReferenceError(f"There are {len(coarse)} coarser labels for {len(names)} cells; give one each.")
    found = []
    for name in types:
        own = sorted({"" if _is_missing(c) else str(c) for c, n in zip(coarse, names, strict=True) if n == name})
        if len(own) != 1 or not own[0]:
            listed = ", ".join(one or "no coarser type" for one in own)
            raise CellReferenceError(
                f"The cells labelled {name} are of {listed}; for shares that add up, all cells of a type must be of "
                "one coarser type."
            )
        found.append(own[0])
    return tuple(found)


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
