"""Bulk or pseudo-bulk profiles to annotate with, from a table, labelled cells, or items of the index."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from search.annotation.classes import BulkClasses
from search.errors import AnnotationError

_EXPECTED = "expected a table of genes x classes (.csv, .tsv), or an .h5ad whose rows are classes or labelled cells"


def bulk_of_items(items: Sequence[str]) -> BulkClasses:
    """Transcriptome items of the index as classes, each called by its id."""
    return BulkClasses(tuple(items), items=tuple(items))


def bulk_profiles(values: Any, genes: Sequence[str], names: Sequence[str]) -> BulkClasses:
    """Classes from counts or TPM.

    Parameters
    ----------
    values : float (n_samples, n_genes), array or sparse
        Not logarithms.
    genes : sequence of str
        Symbols of the columns.
    names : sequence of str
        Class of each row; rows of one name are averaged.

    Raises
    ------
    AnnotationError
        If shapes do not fit, or values are negative or not finite.
    """
    rows = sp.csr_matrix(values, dtype=np.float64)
    if rows.shape != (len(names), len(genes)):
        raise AnnotationError(f"The profiles are {rows.shape} for {len(names)} classes and {len(genes)} genes.")
    if not np.isfinite(rows.data).all() or (rows.data < 0).any():
        raise AnnotationError("The profiles hold negative or missing values; give counts or TPM, not logarithms.")
    classes, code = np.unique(np.asarray(names, dtype=str), return_inverse=True)
    mean = sp.csr_matrix((1 / np.bincount(code)[code], (code, np.arange(len(code)))), shape=(len(classes), len(code)))
    return BulkClasses(tuple(classes.tolist()), sp.csr_matrix(mean @ rows, dtype=np.float32), tuple(map(str, genes)))


def read_bulk(path: Path, *, label: str | None = None) -> BulkClasses:
    """Classes from a file.

    Parameters
    ----------
    path : Path
        `.csv`/`.tsv`: genes down, with a column of symbols first, and a column a sample; `.h5ad`: rows are samples.
    label : str, optional
        For `.h5ad`, the column of `obs` that names the class of each row, whose rows are averaged.

    Raises
    ------
    AnnotationError
        If the file cannot be read as that.
    """
    import pandas as pd

    suffix = path.suffix.lower()
    try:
        if suffix == ".h5ad":
            return _from_h5ad(path, label)
        if suffix in {".csv", ".tsv", ".txt"}:
            table = pd.read_csv(path, sep="," if suffix == ".csv" else "\t", index_col=0)
            values = table.to_numpy(dtype=np.float64).T
            return bulk_profiles(values, table.index.astype(str).tolist(), table.columns.astype(str).tolist())
    except (OSError, ValueError) as error:
        raise AnnotationError(f"Cannot read the profiles {path}: {error}; {_EXPECTED}.") from error
    raise AnnotationError(f"The profiles {path} end in {suffix or 'nothing'!r}; {_EXPECTED}.")


def _from_h5ad(path: Path, label: str | None) -> BulkClasses:
    import anndata as ad

    read = ad.read_h5ad(path)
    if label is not None and label not in read.obs:
        raise AnnotationError(f"{path} has no column {label!r} in obs; it has {', '.join(map(str, read.obs.columns))}.")
    names = read.obs_names if label is None else read.obs[label].astype(str)
    values = read.layers.get("counts", read.X)
    return bulk_profiles(values, read.var_names.astype(str).tolist(), names.tolist())
