"""Tables of genes by bulk samples, a line a gene, read line by line: thousands of samples need little memory."""

import csv
import gzip
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from indexer.errors import CountsError
from indexer.readers.dense_table import MAX_LINE, read_header

Block = npt.NDArray[np.float64]

_BLOCK_GENES = 256
_IN_MEMORY = 256 * 2**20  # bytes; a larger matrix lies in a temporary file
_MISSING = {"", "na", "nan", "n/a"}


class _Blocks:
    """Blocks of samples by genes one after the other, in memory while they are few, else in a file without a name."""

    def __init__(self) -> None:
        self.file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed with its last reader

    def __del__(self) -> None:
        self.file.close()


@dataclass(frozen=True, slots=True)
class SampleRows:
    """Numbers of many samples, of which some rows are read at a time.

    Attributes
    ----------
    shape : tuple of int
        Samples, genes.
    """

    shape: tuple[int, int]
    _blocks: _Blocks
    _widths: tuple[int, ...]

    def __getitem__(self, rows: slice) -> sp.csr_matrix:
        """csr_matrix float32 of consecutive samples."""
        start, stop, _ = rows.indices(self.shape[0])
        whole = np.empty((stop - start, self.shape[1]), dtype=np.float32)
        at = 0
        for width in self._widths:
            self._blocks.file.seek(4 * (at * self.shape[0] + start * width))
            content = self._blocks.file.read(4 * (stop - start) * width)
            whole[:, at : at + width] = np.frombuffer(content, dtype=np.float32).reshape(-1, width)
            at += width
        return sp.csr_matrix(whole)


@dataclass(frozen=True, slots=True)
class SampleMatrix:
    """What a table holds: samples, the leading texts of each gene, and the numbers; `n_missing` genes lacked some."""

    samples: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    rows: SampleRows
    n_missing: int = 0


@dataclass(slots=True)
class _Writer:
    """Takes lines of genes, keeps them as blocks of samples by genes."""

    n_samples: int
    check: Callable[[Block, Sequence[str]], Block]
    blocks: _Blocks = field(default_factory=_Blocks)
    widths: list[int] = field(default_factory=list)
    _lines: list[npt.NDArray[np.float64]] = field(default_factory=list)
    _genes: list[str] = field(default_factory=list)

    def add(self, gene: str, values: npt.NDArray[np.float64]) -> None:
        self._lines.append(values)
        self._genes.append(gene)
        if len(self._lines) == _BLOCK_GENES:
            self.flush()

    def flush(self) -> None:
        if self._lines:
            block = self.check(np.stack(self._lines), self._genes)
            self.blocks.file.write(np.ascontiguousarray(block.T, dtype=np.float32).tobytes())
            self.widths.append(len(self._lines))
            self._lines, self._genes = [], []

    def rows(self) -> SampleRows:
        self.flush()
        return SampleRows((self.n_samples, sum(self.widths)), self.blocks, tuple(self.widths))


def read_sample_matrix(
    path: Path,
    *,
    skip: int = 0,
    leading: int = 1,
    convert: Callable[[Block], Block] | None = None,
    drop_missing: bool = False,
) -> SampleMatrix:
    """Read a table of genes by samples, plain or gzipped.

    Parameters
    ----------
    path : Path
        Csv by its name, else tab-separated.
    skip : int
        Lines before the header.
    leading : int
        Columns of text, of which the first names the gene.
    convert : callable, optional
        What is made of the numbers, float64 (n_genes, n_samples), of some genes; raises `CountsError`.
    drop_missing : bool
        Leave genes out that lack a number, instead of refusing the table.

    Raises
    ------
    CountsError
        If the file is damaged or no such table, or holds something else than finite numbers of at least zero; names
        the gene and the sample.
    """
    separator = b"," if ".csv" in path.suffixes[-2:] else b"\t"
    header = read_header(path, skip=skip)
    texts: list[tuple[str, ...]] = []
    n_missing = 0
    writer: _Writer | None = None
    samples: tuple[str, ...] = ()
    try:
        for number, line in _lines(path, skip + 1):
            cells = line.split(separator, leading)
            if writer is None:
                samples = _samples(header, line, separator, leading, path)
                writer = _Writer(len(samples), _Check(path.name, samples, convert))
            text = tuple(cell.decode("utf-8").strip().strip('"') for cell in cells[:leading])
            values = _numbers(cells[-1], separator, len(samples)) if len(cells) > leading else None
            if values is None:
                where = f"{path.name}, line {number}"
                values = _one_by_one(line, separator, leading, samples, where, drop_missing=drop_missing)
            if values is None:
                n_missing += 1
                continue
            texts.append(text)
            writer.add(text[0], values)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise CountsError(f"Cannot read {path}: {error}. It is cut short or no table of numbers.") from error
    if writer is None or not texts:
        raise CountsError(f"{path} has no gene with numbers below its header; expected a line for each.")
    return SampleMatrix(samples, tuple(texts), writer.rows(), n_missing)


@dataclass(frozen=True, slots=True)
class _Check:
    """Converts a block and refuses what is no amount."""

    name: str
    samples: Sequence[str]
    convert: Callable[[Block], Block] | None

    def __call__(self, block: Block, genes: Sequence[str]) -> Block:
        wrong = ~np.isfinite(block) | ((block < 0) if self.convert is None else False)
        if wrong.any():
            gene, sample = np.argwhere(wrong)[0]
            raise CountsError(
                f"{self.name}, gene {genes[gene]!r}, sample {self.samples[sample]!r}: got {block[gene, sample]:g}; "
                "expected a finite amount of at least 0."
            )
        return block if self.convert is None else self.convert(block)


def _lines(path: Path, skip: int) -> Iterator[tuple[int, bytes]]:
    """Lines after the first ones, with their number; empty ones left out."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        number = 0
        while line := stream.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE:
                raise CountsError(f"{path}, line {number} is longer than {MAX_LINE:,} bytes; it is no gene.")
            if number > skip and line.strip():
                yield number, line.rstrip(b"\r\n")


def _samples(header: list[str], line: bytes, separator: bytes, leading: int, path: Path) -> tuple[str, ...]:
    n = line.count(separator) + 1
    if len(header) == n - 1 and leading == 1:  # R writes no cell above the row names
        header = ["", *header]
    if len(header) != n or n <= leading:
        raise CountsError(
            f"{path} names {len(header)} columns in its header, but its rows have {n}; expected as many, separated by "
            f"{'commas' if separator == b',' else 'tabs'}."
        )
    return tuple(header[leading:])


def _numbers(cells: bytes, separator: bytes, n: int) -> npt.NDArray[np.float64] | None:
    """All cells of a line as numbers at once; `None` if they are not plainly that many numbers."""
    if cells.count(separator) + 1 != n:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # what numpy says of text that is no number
        try:
            values = np.fromstring(cells.decode("ascii", "replace"), sep=separator.decode(), dtype=np.float64)
        except (DeprecationWarning, ValueError):
            return None
    return values if len(values) == n and not np.isnan(values).any() else None


def _one_by_one(
    line: bytes, separator: bytes, leading: int, samples: Sequence[str], where: str, *, drop_missing: bool
) -> npt.NDArray[np.float64] | None:
    """Cells of a line as numbers; `None` if some are missing and may be. Raises `CountsError`, which names the cell."""
    cells = next(csv.reader([line.decode("utf-8")], delimiter=separator.decode()))
    if len(cells) != leading + len(samples):
        raise CountsError(
            f"{where}, gene {cells[0]!r}: got {len(cells) - leading} numbers; expected {len(samples)}, one for each "
            "sample. The file may be cut short: get it again."
        )
    values = np.empty(len(samples))
    for place, cell in enumerate(cells[leading:]):
        if drop_missing and cell.strip().casefold() in _MISSING:
            return None
        try:
            values[place] = float(cell)
        except ValueError as error:
            raise CountsError(
                f"{where}, gene {cells[0]!r}, sample {samples[place]!r}: got {cell!r}; expected a number."
            ) from error
    return values
