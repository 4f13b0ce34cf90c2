"""Counts of an index's items as profiles that can be compared: counts per 10,000 and their logarithm."""

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from search.catalogue import Catalogue, Mask, Rows

_CHUNK_ROWS = 2_048
PER = 10_000.0
Doubles = npt.NDArray[np.float64]


def has_counts(catalogue: Catalogue) -> Mask:
    """Items with at least one count, bool `(n_items,)`."""
    totals = catalogue.column("total_counts").astype(np.float64)
    return np.nan_to_num(totals, nan=0.0) > 0


def per_10k(catalogue: Catalogue, rows: Rows, columns: Rows | None = None) -> sp.csr_matrix:
    """Counts per 10,000 of the item's whole library, float32 csr `(len(rows), n_genes)`, of the panel or some genes."""
    counts = catalogue.index.expression(rows) if columns is None else catalogue.counts.of(rows, columns)
    scale = PER / catalogue.column("total_counts")[rows].astype(np.float64)
    # The counts are a read-only view of the table, so the values are written anew.
    counts.data = counts.data * np.repeat(scale, np.diff(counts.indptr)).astype(np.float32)
    return counts


def log_per_10k(catalogue: Catalogue, rows: Rows, columns: Rows | None = None) -> sp.csr_matrix:
    """Natural logarithm of 1 + counts per 10,000, float32 csr `(len(rows), n_genes)`."""
    values = per_10k(catalogue, rows, columns)
    np.log1p(values.data, out=values.data)
    return values


def weighted_moments(catalogue: Catalogue, rows: Rows, weights: Doubles) -> tuple[Doubles, Doubles]:
    """Weighted mean and mean square of log-expression, float64 `(n_panel,)` each, read in chunks.

    Parameters
    ----------
    catalogue : Catalogue
        Items of the index.
    rows : int64 (n,)
        Items with counts.
    weights : float64 (n,)
        Their sum is 1.
    """
    n_genes = len(catalogue.index.genes)
    mean, square = np.zeros(n_genes), np.zeros(n_genes)
    order = np.argsort(rows)  # as they lie in the table they are read without being copied
    rows, weights = rows[order], weights[order]
    for start in range(0, len(rows), _CHUNK_ROWS):
        part = slice(start, start + _CHUNK_ROWS)
        values = log_per_10k(catalogue, rows[part])
        mean += values.T @ weights[part]
        np.square(values.data, out=values.data)
        square += values.T @ weights[part]
    return mean, square


def mean_log_expression(catalogue: Catalogue) -> Doubles:
    """Mean log-expression over all spots, cells and transcriptomes with counts, float64 `(n_panel,)`."""
    wanted = has_counts(catalogue) & np.isin(catalogue.column("kind"), ["spot", "cell", "transcriptome"])
    rows = np.flatnonzero(wanted)
    if not len(rows):
        return np.zeros(len(catalogue.index.genes))
    return weighted_moments(catalogue, rows, np.full(len(rows), 1 / len(rows)))[0]
