"""A slide of any format with counts: what its reader found, its genes under their current names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from indexer.errors import CountsError, DataError
from indexer.genes.names import name_columns, name_genes
from indexer.genes.report import GeneReport
from indexer.genes.species import detect_species
from indexer.genes.tables import GeneTables
from indexer.slides import Expression, MppSource, SlideFacts, SlideImage

Kind = Literal["spot", "cell", "transcriptome"]


@dataclass(frozen=True, slots=True)
class GeneColumns:
    """Genes as a file names them: symbols (or ids where it has no symbols), and ids where it has both."""

    symbols: Sequence[str]
    ids: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """Counts as a file has them.

    Attributes
    ----------
    names : sequence of str
        One per row.
    counts : csr_matrix float32 (n, n_columns)
        Finite, at least zero.
    genes : GeneColumns
        One per column, repeated where the file repeats them.
    xy_px, spot_um, labels : optional
        See `Expression`.
    remarks : tuple of str
        What the user should know.
    """

    names: Sequence[str]
    counts: sp.csr_matrix
    genes: GeneColumns
    xy_px: npt.NDArray[np.float64] | None = None
    spot_um: float | None = None
    labels: Sequence[str | None] | None = None
    remarks: tuple[str, ...] = ()


@dataclass
class MeasuredSlide:
    """A slide whose reader is two functions; nothing is opened before it is asked for.

    Attributes
    ----------
    given_facts : SlideFacts
        As the user or the format says.
    kind : str
        What a row is.
    files : tuple of Path
        Files that decide the rows.
    read_counts : callable
        Reads the counts; raises `CountsError` or `JoinError`.
    read_columns : callable
        Reads the names of the genes alone; raises `CountsError`.
    tables : GeneTables
        What is known of gene names.
    image_path : Path or None
        Picture.
    open_picture : callable or None
        Opens it; raises `SlideError`.
    find_mpp : callable or None
        mpp and where it is from, asked where the facts have none; raises `DataError`.
    """

    given_facts: SlideFacts
    kind: Kind
    files: tuple[Path, ...]
    read_counts: Callable[[], Measured]
    read_columns: Callable[[], GeneColumns]
    tables: GeneTables = field(default_factory=GeneTables)
    image_path: Path | None = None
    open_picture: Callable[[], SlideImage | None] | None = None
    find_mpp: Callable[[], tuple[float, MppSource] | None] | None = None
    _remarks: tuple[str, ...] = ()
    _genes: GeneReport | None = None

    @cached_property
    def facts(self) -> SlideFacts:
        """Metadata, with the files' mpp and the species of the genes where none was given.

        Files that cannot be read leave them empty here, so that a list of slides can be shown; reading them raises.
        """
        facts = self.given_facts
        try:
            if facts.species == "unknown":
                columns = self.read_columns()
                facts = replace(facts, species=detect_species(columns.symbols, columns.ids))
            found = None if facts.mpp is not None or self.find_mpp is None else self.find_mpp()
        except (DataError, OSError):
            return facts
        return facts if found is None else replace(facts, mpp=found[0], mpp_source=found[1])

    @property
    def read_with(self) -> str:
        """Digest of the tables of gene names."""
        return self.tables.sha256

    def remarks(self) -> tuple[str, ...]:
        """What the user should know besides what became of the genes, once the counts were read."""
        return self._remarks

    def gene_report(self) -> GeneReport | None:
        """What became of the genes, once the counts were read."""
        return self._genes

    def add_remark(self, remark: str) -> None:
        """Note what the user should know."""
        self._remarks += (f"{self.given_facts.slide}: {remark}.",)

    def open_image(self) -> SlideImage | None:
        """Picture of the slide, or `None`. Raises `SlideError`."""
        return None if self.open_picture is None else self.open_picture()

    def read_genes(self) -> Sequence[str]:
        """Unique current symbols of the genes. Raises `CountsError`."""
        columns = self.read_columns()
        names, _ = name_genes(columns.symbols, columns.ids, self.tables)
        return tuple(dict.fromkeys(name for name in names if name))

    def read_expression(self) -> Expression:
        """Counts over current symbols. Raises `CountsError` or `JoinError`."""
        found = self.read_counts()
        counts, genes, report = name_columns(found.counts, found.genes.symbols, found.genes.ids, self.tables)
        _check_orientation(found.names, report, self.tables, self.given_facts.slide)
        self._remarks, self._genes = (), report
        for remark in found.remarks:
            self.add_remark(remark)
        return Expression(
            names=found.names,
            counts=counts,
            genes=genes,
            xy_px=found.xy_px,
            spot_um=found.spot_um,
            labels=found.labels,
        )


def _check_orientation(names: Sequence[str], report: GeneReport, tables: GeneTables, slide: str) -> None:
    """Raise `CountsError` if the rows are genes and the columns are not: the table lies on its side."""
    known = len(report.genes["mapped"]) + len(report.genes["renamed"])
    if known or not names:
        return
    found = name_genes(names, None, tables)[1].counts
    if 2 * (found["mapped"] + found["renamed"]) > len(names):
        columns = sum(report.counts.values())
        raise CountsError(
            f"Slide {slide}: its {len(names)} rows are genes, such as {names[0]!r}, and none of its {columns} columns "
            "is; expected a row for each spot or cell. Transpose the table."
        )
