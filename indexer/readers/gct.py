"""Format `gct`: GCT 1.2 as of GTEx, a row a gene with its id and symbol, a column a sample."""

import gzip
import zlib
from functools import partial
from pathlib import Path

import scipy.sparse as sp

from indexer.errors import CountsError
from indexer.format import Circumstances, Format, files_at
from indexer.readers.anndata_file import checked_counts
from indexer.readers.dense_table import read_dense, read_header
from indexer.readers.measured import GeneColumns, Measured
from indexer.readers.samples import open_samples
from indexer.slides import SlideSource

_SUFFIXES = (".gct", ".gct.gz")
_LEADING = 2  # Name and Description


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    found: list[SlideSource] = []
    for path in files_at(place, _SUFFIXES, what="GCT files"):
        _declared(path)
        names = read_header(path, skip=2)[_LEADING:]
        found += open_samples(path, names, partial(_read, path), around, technology="bulk RNA-seq")
    return found


def _read(path: Path) -> Measured:
    n_genes, n_samples = _declared(path)
    table = read_dense(path, skip=2, leading=_LEADING)
    if table.values.shape != (n_genes, n_samples):
        raise CountsError(
            f"{path} has {table.values.shape[0]} genes of {table.values.shape[1]} samples; expected {n_genes} and "
            f"{n_samples} as its second line says. It is cut short: get it again."
        )
    symbols = table.texts[0]
    return Measured(
        table.columns, checked_counts(sp.csr_matrix(table.values.T), path.name), GeneColumns(symbols, table.rows)
    )


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
