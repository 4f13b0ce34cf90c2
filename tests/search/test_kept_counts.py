"""Counts over some genes: the same numbers whether they are kept or read, and read once for several questions."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp

from search import kept_counts
from search.kept_counts import KeptCounts


class _Index:
    def __init__(self, n_items=40, n_genes=12):
        self.all = sp.csr_matrix(np.random.default_rng(0).poisson(0.5, (n_items, n_genes)).astype(np.float32))
        self.rows_read = 0

    def __len__(self):
        return self.all.shape[0]

    def expression(self, rows):
        self.rows_read += len(rows)
        return self.all[rows]


@pytest.mark.parametrize("most_cells", [2**24, 2])
@pytest.mark.parametrize("n_rows", [0, 3, 20, 40])
def test_the_same_counts_kept_or_read(monkeypatch, most_cells, n_rows):
    monkeypatch.setattr(kept_counts, "_MOST_CELLS", most_cells)
    monkeypatch.setattr(kept_counts, "_READ_ROWS", 7)
    index = _Index()
    rows = np.random.default_rng(n_rows).permutation(40)[:n_rows]
    columns = np.array([5, 0, 11])
    counts = KeptCounts(index)
    for _ in range(2):
        found = counts.of(rows, columns)
        assert (found.dtype, found.shape) == (np.float32, (n_rows, 3))
        assert np.array_equal(found.toarray(), index.all[rows][:, columns].toarray())
    assert index.rows_read == (n_rows if most_cells > 10 else 2 * n_rows)


def test_only_what_is_new_is_read_whoever_asks_and_the_oldest_genes_are_forgotten():
    index = _Index()
    counts, genes = KeptCounts(index), np.array([1, 2])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: counts.of(np.arange(30), genes), range(8)))
    assert index.rows_read == 30
    rows = np.array([35, 3, 3, 31, 0])
    assert np.array_equal(counts.of(rows, genes).toarray(), index.all[rows][:, genes].toarray())
    assert index.rows_read == 32
    for gene in range(4):
        counts.of(np.arange(40), np.array([gene]))
    assert index.rows_read == 192
    counts.of(np.array([3]), genes)
    assert index.rows_read == 193
