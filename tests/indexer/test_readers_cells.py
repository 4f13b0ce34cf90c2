"""Single cells in h5ad: counts, cell types, and what is not a counts matrix."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from indexer.errors import CountsError
from indexer.readers.anndata_file import checked_counts
from indexer.readers.h5ad_cells import CellsSlide


@pytest.fixture
def write_cells(tmp_path, facts):
    def write(values, *, genes=("A", "B", "C"), column: str | None = "type") -> CellsSlide:
        import anndata

        names = [f"cell{i}" for i in range(len(values))]
        obs = pd.DataFrame({"type": pd.Categorical(["T", None, "B"][: len(values)])}, index=names)
        cells = anndata.AnnData(sp.csr_matrix(values), obs=obs, var=pd.DataFrame(index=list(genes)))
        cells.write_h5ad(tmp_path / "c.h5ad")
        return CellsSlide(replace(facts, mpp=None, mpp_source=None), tmp_path / "c.h5ad", column)

    return write


def test_cells_are_read(write_cells):
    cells = write_cells(np.array([[1, 0, 2], [0, 0, 0], [3, 1, 0]], dtype=np.int32))
    found = cells.read_expression()
    assert found.counts.dtype == np.float32
    assert found.counts.toarray().tolist() == [[1, 0, 2], [0, 0, 0], [3, 1, 0]]
    assert found.names == ("cell0", "cell1", "cell2")
    assert found.labels == ("T", None, "B")
    assert found.xy_px is None
    assert found.genes == cells.read_genes() == ("A", "B", "C")
    assert cells.open_image() is None
    assert write_cells(np.ones((2, 3)), column=None).read_expression().labels is None


def test_an_unknown_label_column_lists_the_known_ones(write_cells):
    with pytest.raises(CountsError, match=r"'celltype'; expected one of: type"):
        write_cells(np.ones((2, 3)), column="celltype").read_expression()


def test_a_file_that_is_no_h5ad(write_cells):
    cells = write_cells(np.ones((2, 3)))
    cells.cells.write_bytes(b"nothing")
    with pytest.raises(CountsError, match=r"Cannot read .* as h5ad"):
        cells.read_expression()
    with pytest.raises(CountsError, match=r"Cannot read .* as h5ad"):
        cells.read_genes()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.array([[1.0, -2.0]]), "row 0, column 1: got -2"),
        (np.array([[1.0, 0.0], [np.nan, 1.0]]), "row 1, column 0: got nan"),
        (np.zeros((0, 3)), "at least one row"),
        (np.array([["a"]], dtype=object), "raw counts"),
        (None, "expected a matrix"),
    ],
)
def test_what_is_no_counts_matrix(values, says):
    with pytest.raises(CountsError, match=says):
        checked_counts(values, "x")
