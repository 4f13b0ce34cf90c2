"""Reader of single cells in an h5ad file: raw counts in `X`, cell types in a column of `obs`."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from indexer.datasets.manifest import Role
from indexer.genes.panel import sum_duplicates, unique_genes
from indexer.readers.anndata_file import checked_counts, labels_of, open_h5ad
from indexer.slides import Expression, SlideFacts

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
            labels=labels_of(cells.obs, self.label_column, self.cells.name),
        )
