"""Bulk samples that share one file: each is a slide of its own, with the patient that its barcode names."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import scipy.sparse as sp

from indexer.errors import CountsError
from indexer.format import Circumstances
from indexer.genes.names import name_columns
from indexer.genes.report import GeneReport
from indexer.genes.tables import GeneTables
from indexer.readers.measured import GeneColumns
from indexer.slides import Expression, SlideFacts, SlideSource

#: Parts of a barcode that name the patient, by project.
_BARCODES = {"TCGA": 3, "GTEX": 2, "C3L": 2, "C3N": 2}
_BLOCK = 256  # samples whose numbers are unpacked at once


class CountRows(Protocol):
    """Numbers of many samples, of which some rows are read at a time: a csr_matrix, or a matrix on disk."""

    @property
    def shape(self) -> tuple[int, int]:
        """Samples, columns."""

    def __getitem__(self, rows: slice) -> sp.csr_matrix:
        """csr_matrix float32 of consecutive samples."""


@dataclass(frozen=True, slots=True)
class SampleCounts:
    """What a file of samples holds: a row of finite amounts of at least zero for each, and the columns' genes."""

    names: Sequence[str]
    counts: CountRows
    genes: GeneColumns
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NamedGenes:
    """Genes of a file under current symbols: which columns are added up into which, as csr_matrix (before, after)."""

    placing: sp.csr_matrix
    symbols: tuple[str, ...]
    report: GeneReport


@dataclass
class GeneNamer:
    """Names the genes of files, of which many have the same."""

    tables: GeneTables
    _known: dict[tuple[tuple[str, ...], tuple[str, ...]], NamedGenes] = field(default_factory=dict, repr=False)

    def name(self, genes: GeneColumns) -> tuple[NamedGenes, bool]:
        """Current names of genes, and whether they are asked for the first time."""
        key = (tuple(genes.symbols), tuple(genes.ids or ()))
        if is_new := key not in self._known:
            each = sp.identity(len(key[0]), dtype="float32", format="csr")
            placing, symbols, report = name_columns(each, genes.symbols, genes.ids, self.tables)
            self._known[key] = NamedGenes(sp.csr_matrix(placing), symbols, report)
        return self._known[key], is_new


@dataclass
class SampleTable:
    """All samples of a file, read once.

    Attributes
    ----------
    path : Path
        The file.
    read : callable
        Reads it, a row a sample; raises `CountsError`.
    namer : GeneNamer
        Names its genes.
    """

    path: Path
    read: Callable[[], SampleCounts]
    namer: GeneNamer
    remarks: tuple[str, ...] = ()
    told: bool = field(default=False, repr=False)
    _first: int = field(default=-1, init=False, repr=False)
    _block: sp.csr_matrix | None = field(default=None, init=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs; it reads the file itself."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.init}

    @cached_property
    def _found(self) -> tuple[SampleCounts, NamedGenes]:
        found = self.read()
        genes, is_new = self.namer.name(found.genes)
        said = [f"{len(found.names):,} samples"] if len(found.names) > 1 else []
        said += [genes.report.sentence()] if is_new else []
        self.remarks = tuple(f"{self.path.name}: {remark}." for remark in (*said, *found.remarks))
        return found, genes

    @cached_property
    def _row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self._found[0].names)}

    @property
    def symbols(self) -> tuple[str, ...]:
        """Unique current symbols of the genes. Raises `CountsError`."""
        return self._found[1].symbols

    @property
    def report(self) -> GeneReport | None:
        """What became of the genes, once the file was read."""
        found = self.__dict__.get("_found")
        return None if found is None else found[1].report

    def sample(self, name: str) -> Expression:
        """One sample over current symbols. Raises `CountsError`."""
        found, genes = self._found
        row = self._row[name]
        first = row - row % _BLOCK
        if self._block is None or self._first != first:
            block = found.counts[first : min(first + _BLOCK, found.counts.shape[0])]
            self._first, self._block = first, sp.csr_matrix(block @ genes.placing)
        return Expression((name,), self._block[row - first], genes.symbols, None)


@dataclass
class BulkSample:
    """One sample of a table; nothing is opened before it is asked for."""

    facts: SlideFacts
    table: SampleTable

    kind: Literal["transcriptome"] = "transcriptome"
    image_path: None = None
    name_in_file: str = ""  # where the facts have another

    @property
    def files(self) -> tuple[Path, ...]:
        """The file of all samples."""
        return (self.table.path,)

    @property
    def read_with(self) -> str:
        """Digest of the tables of gene names."""
        return self.table.namer.tables.sha256

    def remarks(self) -> tuple[str, ...]:
        """What is to be said of the file, by the first of its samples that was read."""
        if self.table.told:
            return ()
        self.table.told = True
        return self.table.remarks

    def gene_report(self) -> GeneReport | None:
        """What became of the genes of the file, once it was read."""
        return self.table.report

    def open_image(self) -> None:
        """A bulk sample has no picture."""

    def read_genes(self) -> tuple[str, ...]:
        """Unique current symbols of the genes. Raises `CountsError`."""
        return self.table.symbols

    def read_expression(self) -> Expression:
        """The sample's counts. Raises `CountsError`."""
        found = self.table.sample(self.name_in_file or self.facts.slide)
        return replace(found, names=(self.facts.slide,))


@dataclass
class UnreadableFile:
    """A file of samples that cannot even be listed: it fails under its own name, and the others go in."""

    facts: SlideFacts
    path: Path
    reason: str

    kind: Literal["transcriptome"] = "transcriptome"
    image_path: None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    def open_image(self) -> None:
        """It has no picture."""

    def read_genes(self) -> tuple[str, ...]:
        """Raise `CountsError`."""
        raise CountsError(self.reason)

    def read_expression(self) -> Expression:
        """Raise `CountsError`."""
        raise CountsError(self.reason)


def open_tables(
    paths: Sequence[Path], open_one: Callable[[Path], list[SlideSource]], around: Circumstances
) -> list[SlideSource]:
    """The samples of each file; of several files one that cannot be listed fails alone.

    Raises
    ------
    CountsError
        Of the only file.
    """
    found: list[SlideSource] = []
    for path in paths:
        try:
            found += open_one(path)
        except CountsError as error:
            if len(paths) == 1:
                raise
            found.append(UnreadableFile(around.facts(path.name, technology="bulk RNA-seq"), path, str(error)))
    return found


def open_samples(
    path: Path, names: list[str], read: Callable[[], SampleCounts], around: Circumstances, *, technology: str
) -> list[SlideSource]:
    """A source for each sample of a file. Raises `CountsError` if a sample is there twice."""
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated or not names:
        shown = ", ".join(sorted(repeated)[:3]) or "none"
        raise CountsError(
            f"{path} has {len(names)} samples, repeated: {shown}; expected each sample once, at least one."
        )
    table = SampleTable(path, read, GeneNamer(around.tables))
    return [BulkSample(sample_facts(name, around, technology), table) for name in names]


def sample_facts(name: str, around: Circumstances, technology: str) -> SlideFacts:
    """Facts of a sample; TCGA, GTEx and CPTAC are human."""
    facts = around.facts(name, patient=patient_of(name), technology=technology)
    is_known = facts.species != "unknown" or _prefix(name) not in _BARCODES
    return facts if is_known else replace(facts, species="human")


def patient_of(barcode: str) -> str:
    """Patient of a sample's barcode.

    `TCGA-A2-A04R` of `TCGA-A2-A04R-01A`, and of `TCGA.A2.A04R.01A` as R writes it; `GTEX-1117F` of `GTEX-1117F-0226`;
    `C3L-00001` of CPTAC's `C3L-00001.N`. Other barcodes are patients of their own.
    """
    parts = re.split(r"[-._]", barcode)
    n = _BARCODES.get(_prefix(barcode))
    return barcode if n is None else "-".join(parts[:n])


def _prefix(barcode: str) -> str:
    return re.split(r"[-._]", barcode)[0].upper()
