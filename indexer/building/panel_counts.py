"""Counts over the genes of a file as counts over the panel of an index."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from indexer.genes.panel import Panel


def on_panel(panel: Panel, counts: sp.csr_matrix, genes: Sequence[str]) -> tuple[sp.csr_matrix, int]:
    """Counts float32 `(n, n_panel)` in order and without zeros, and how many of the genes the panel does not have."""
    columns = panel.columns_of(genes)
    inside = np.flatnonzero(columns >= 0)
    placing = sp.csr_matrix(
        (np.ones(len(inside), dtype=np.float32), (inside, columns[inside])), shape=(len(genes), len(panel))
    )
    placed = sp.csr_matrix(counts @ placing, dtype=np.float32)
    placed.sort_indices()
    placed.eliminate_zeros()
    return placed, len(genes) - len(inside)
