"""Bulk samples that share one file: each is a slide of its own, with the patient that its barcode names."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from indexer.errors import CountsError
from indexer.format import Circumstances
from indexer.genes.names import name_columns
from indexer.genes.report import GeneReport
from indexer.genes.tables import GeneTables
from indexer.readers.measured import Measured
from indexer.slides import Expression, SlideFacts, SlideSource

#: Parts of a barcode that name the patient.
_BARCODES = {"TCGA": 3, "GTEX": 2}


@dataclass
class SampleTable:
    """All samples of a file, read once.

    Attributes
    ----------
    path : Path
        The file.
    read : callable
        Reads it, a row a sample; raises `CountsError`.
    tables : GeneTables
        What is known of gene names.
    """

    path: Path
    read: Callable[[], Measured]
    tables: GeneTables
    remarks: tuple[str, ...] = ()
    genes: GeneReport | None = None
    told: bool = field(default=False, repr=False)

    @cached_property
    def expression(self) -> Expression:
        """Counts of all samples over current symbols. Raises `CountsError`."""
        found = self.read()
        counts, genes, report = name_columns(found.counts, found.genes.symbols, found.genes.ids, self.tables)
        said = (f"{len(found.names)} samples", report.sentence(), *found.remarks)
        self.genes = report
        self.remarks = tuple(f"{self.path.name}: {remark}." for remark in said)
        return Expression(found.names, counts, genes, None)

    @cached_property
    def row(self) -> dict[str, int]:
        """Row of each sample."""
        return {name: row for row, name in enumerate(self.expression.names)}


@dataclass
class BulkSample:
    """One sample of a table; nothing is opened before it is asked for."""

    facts: SlideFacts
    table: SampleTable

    kind: Literal["transcriptome"] = "transcriptome"
    image_path: None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The file of all samples."""
        return (self.table.path,)

    @property
    def read_with(self) -> str:
        """Digest of the tables of gene names."""
        return self.table.tables.sha256

    def remarks(self) -> tuple[str, ...]:
        """What is to be said of the file, by the first of its samples that was read."""
        if self.table.told:
            return ()
        self.table.told = True
        return self.table.remarks

    def gene_report(self) -> GeneReport | None:
        """What became of the genes of the file, once it was read."""
        return self.table.genes

    def open_image(self) -> None:
        """A bulk sample has no picture."""

    def read_genes(self) -> tuple[str, ...]:
        """Unique current symbols of the genes. Raises `CountsError`."""
        return tuple(self.table.expression.genes)

    def read_expression(self) -> Expression:
        """The sample's counts. Raises `CountsError`."""
        whole, name = self.table.expression, self.facts.slide
        row = self.table.row[name]
        return Expression((name,), whole.counts[row], whole.genes, None)


def open_samples(
    path: Path, names: list[str], read: Callable[[], Measured], around: Circumstances, *, technology: str
) -> list[SlideSource]:
    """A source for each sample of a file. Raises `CountsError` if a sample is there twice."""
    repeated = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    if repeated or not names:
        shown = ", ".join(sorted(repeated)[:3]) or "none"
        raise CountsError(
            f"{path} has {len(names)} samples, repeated: {shown}; expected each sample once, at least one."
        )
    table = SampleTable(path, read, around.tables)
    return [BulkSample(_facts(name, around, technology), table) for name in names]


def _facts(name: str, around: Circumstances, technology: str) -> SlideFacts:
    """Facts of a sample; TCGA and GTEx are human."""
    facts = around.facts(name, patient=patient_of(name), technology=technology)
    is_known = facts.species != "unknown" or _prefix(name) not in _BARCODES
    return facts if is_known else replace(facts, species="human")


def patient_of(barcode: str) -> str:
    """Patient of a sample's barcode: `TCGA-A2-A04R` of `TCGA-A2-A04R-01A`, `GTEX-1117F` of `GTEX-1117F-0226`."""
    parts = barcode.split("-")
    return "-".join(parts[: _BARCODES.get(_prefix(barcode), len(parts))])


def _prefix(barcode: str) -> str:
    return barcode.partition("-")[0].upper()
