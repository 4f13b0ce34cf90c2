"""Reader of single cells in an h5ad file: raw counts in `X`, cell types in a column of `obs`."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse as sp

from indexer.datasets.manifest import Role
from indexer.errors import CountsError
from indexer.genes.panel import sum_duplicates, unique_genes
from indexer.readers.anndata_file import open_h5ad
from indexer.slides import Expression, SlideFacts

if TYPE_CHECKING:
    import pandas as pd

_LOG = logging.getLogger(__name__)

ROLES: tuple[Role, ...] = ("cells",)


@dataclass(frozen=True)
class CellsSlide:
    """Dissociated cells of one sample: no image, no positions.

    Attributes
    ----------
    manifest_facts : SlideFacts
        As the manifest gives them.
    cells : Path
        The h5ad file.
    label_column : str or None
        Column of `obs` with the cell type; `None` reads no labels.
    """

    manifest_facts: SlideFacts
    cells: Path
    label_column: str | None = None

    kind: Literal["cell"] = "cell"
    image_path: None = None

    @property
    def facts(self) -> SlideFacts:
        """Metadata of the sample."""
        return self.manifest_facts

    @property
    def files(self) -> tuple[Path, ...]:
        """The h5ad file."""
        return (self.cells,)

    def open_image(self) -> None:
        """Dissociated cells have no image."""

    def read_genes(self) -> Sequence[str]:
        """Unique symbols of the genes, without reading the counts. Raises `CountsError`."""
        cells = open_h5ad(self.cells, backed="r")
        genes = [str(symbol) for symbol in cells.var_names]
        cells.file.close()
        return unique_genes(genes)[0]

    def read_expression(self) -> Expression:
        """Raw counts and cell types. Raises `CountsError`."""
        cells = open_h5ad(self.cells, backed=None)
        counts = checked_counts(cells.X, self.cells.name)
        counts, genes, duplicated = sum_duplicates(counts, [str(symbol) for symbol in cells.var_names])
        if duplicated:
            _LOG.warning("%s: added up the repeated columns of %d genes", self.cells.name, len(duplicated))
        return Expression(
            names=tuple(str(name) for name in cells.obs_names),
            counts=counts,
            genes=genes,
            xy_px=None,
            labels=None if self.label_column is None else self._labels(cells.obs, self.label_column),
        )

    def _labels(self, obs: "pd.DataFrame", column: str) -> tuple[str | None, ...]:
        if column not in obs.columns:
            known = ", ".join(map(str, obs.columns)) or "none"
            raise CountsError(f"{self.cells.name} has no cell-type column '{column}'; expected one of: {known}.")
        missing = obs[column].isna().to_numpy()
        values = obs[column].astype(str)
        return tuple(None if gone else value for value, gone in zip(values, missing, strict=True))


def checked_counts(values: Any, where: str) -> sp.csr_matrix:
    """Matrix `(n, n_genes)` as sparse float32 counts.

    Raises
    ------
    CountsError
        If a value is not a finite number of at least zero; scaled or centred values are no counts.
    """
    if not sp.issparse(values) and not isinstance(values, np.ndarray):
        raise CountsError(f"{where}: X is a {type(values).__name__}; expected a matrix of raw counts.")
    if values.dtype.kind not in "iufb":
        raise CountsError(f"{where}: X holds {values.dtype}; expected raw counts, numbers of at least 0.")
    try:
        if sp.issparse(values):
            values.check_format(full_check=True)  # indices that point outside would be followed outside
        counts = sp.csr_matrix(values)
    except ValueError as error:
        raise CountsError(
            f"{where}: X is no sparse matrix that holds together: {error}. Get the file again."
        ) from error
    if counts.shape[0] == 0 or counts.shape[1] == 0:
        raise CountsError(f"{where}: X has the shape {counts.shape}; expected at least one row and one gene.")
    counts = counts.astype(np.float32)
    counts.sum_duplicates()
    bad = np.flatnonzero(~(np.isfinite(counts.data) & (counts.data >= 0)))
    if bad.size:
        row = int(np.searchsorted(counts.indptr, bad[0], side="right")) - 1
        raise CountsError(
            f"{where}, row {row}, column {counts.indices[bad[0]]}: got {counts.data[bad[0]]:g}; expected raw counts, "
            "finite numbers of at least 0. Take the layer that holds the raw counts."
        )
    return counts
