"""Format `gct`: GCT 1.2 as of GTEx, a row a gene with its id and symbol, a column a sample."""

import gzip
import zlib
from functools import partial
from pathlib import Path

from indexer.errors import CountsError
from indexer.format import Circumstances, Format, files_at
from indexer.readers.dense_table import read_header
from indexer.readers.measured import GeneColumns
from indexer.readers.sample_matrix import read_sample_matrix
from indexer.readers.samples import SampleCounts, open_samples, open_tables
from indexer.slides import SlideSource

_SUFFIXES = (".gct", ".gct.gz")
_LEADING = 2  # Name and Description


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    def open_one(path: Path) -> list[SlideSource]:
        _declared(path)
        names = read_header(path, skip=2)[_LEADING:]
        return open_samples(path, names, partial(_read, path), around, technology="bulk RNA-seq")

    return open_tables(files_at(place, _SUFFIXES, what="GCT files"), open_one, around)


def _read(path: Path) -> SampleCounts:
    n_genes, n_samples = _declared(path)
    table = read_sample_matrix(path, skip=2, leading=_LEADING)
    if table.rows.shape != (n_samples, n_genes):
        raise CountsError(
            f"{path} has {table.rows.shape[1]} genes of {table.rows.shape[0]} samples; expected {n_genes} and "
            f"{n_samples} as its second line says. It is cut short: get it again."
        )
    ids, symbols = zip(*table.texts, strict=True)
    return SampleCounts(table.samples, table.rows, GeneColumns(symbols, ids))


def _declared(path: Path) -> tuple[int, int]:
    """Numbers of genes and samples from the first two lines."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            version, sizes = (stream.readline().decode("utf-8").strip() for _ in range(2))
        n_genes, n_samples = (int(cell) for cell in sizes.split("\t")[:2])
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise CountsError(
            f"Cannot read {path} as GCT: {error}; expected '#1.2' and two numbers in its first lines."
        ) from error
    if version != "#1.2":
        raise CountsError(f"{path} starts with {version[:20]!r}; expected '#1.2' of a GCT file.")
    return n_genes, n_samples


FORMAT = Format("gct", "GCT 1.2 (GTEx), bulk samples", _find)
