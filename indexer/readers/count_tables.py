"""Counts of cells or of bulk samples in csv, tsv or parquet, either of them or the genes down the rows."""

from functools import partial
from pathlib import Path

import scipy.sparse as sp

from indexer.format import Circumstances, Format, files_at, slide_names
from indexer.readers.anndata_file import checked_counts
from indexer.readers.dense_table import SUFFIXES, read_column_names, read_dense, read_first_column
from indexer.readers.measured import GeneColumns, Measured, MeasuredSlide
from indexer.readers.sample_matrix import read_sample_matrix
from indexer.readers.samples import SampleCounts, open_samples, open_tables
from indexer.slides import SlideSource


def _find(place: Path, around: Circumstances, *, genes_first: bool) -> list[SlideSource]:
    paths = files_at(place, SUFFIXES, what="tables of counts, csv, tsv or parquet")
    return [
        MeasuredSlide(
            around.facts(name, technology="unknown"),
            "cell",
            (path,),
            partial(_read, path, genes_first=genes_first),
            partial(_columns, path, genes_first=genes_first),
            around.tables,
        )
        for name, path in slide_names(paths, place, SUFFIXES).items()
    ]


def _find_samples(place: Path, around: Circumstances, *, genes_first: bool) -> list[SlideSource]:
    def open_one(path: Path) -> list[SlideSource]:
        names = _sample_names(path, genes_first=genes_first)
        read = partial(_read_samples, path, genes_first=genes_first)
        return open_samples(path, names, read, around, technology="bulk RNA-seq")

    return open_tables(files_at(place, SUFFIXES, what="tables of samples, csv, tsv or parquet"), open_one, around)


def _read_samples(path: Path, *, genes_first: bool) -> SampleCounts:
    if genes_first and path.suffix != ".parquet":
        table = read_sample_matrix(path)
        return SampleCounts(table.samples, table.rows, GeneColumns([text[0] for text in table.texts]))
    found = _read(path, genes_first=genes_first)
    return SampleCounts(found.names, found.counts, found.genes, found.remarks)


def _sample_names(path: Path, *, genes_first: bool) -> list[str]:
    if path.suffix == ".parquet":
        table = read_dense(path)
        return list(table.columns if genes_first else table.rows)
    return read_column_names(path) if genes_first else read_first_column(path)


def _read(path: Path, *, genes_first: bool) -> Measured:
    table = read_dense(path)
    names, genes = (table.columns, table.rows) if genes_first else (table.rows, table.columns)
    counts = checked_counts(sp.csr_matrix(table.values.T if genes_first else table.values), path.name)
    return Measured(names, counts, GeneColumns(genes))


def _columns(path: Path, *, genes_first: bool) -> GeneColumns:
    if path.suffix == ".parquet":
        table = read_dense(path)
        return GeneColumns(table.rows if genes_first else table.columns)
    return GeneColumns(read_first_column(path) if genes_first else read_column_names(path))


CELLS_BY_GENES = Format("cells-by-genes", "csv, tsv or parquet, a row for each cell", partial(_find, genes_first=False))
GENES_BY_CELLS = Format("genes-by-cells", "csv, tsv or parquet, a row for each gene", partial(_find, genes_first=True))
SAMPLES_BY_GENES = Format(
    "samples-by-genes", "csv, tsv or parquet, a row for each bulk sample", partial(_find_samples, genes_first=False)
)
GENES_BY_SAMPLES = Format(
    "genes-by-samples", "csv, tsv or parquet, a column for each bulk sample", partial(_find_samples, genes_first=True)
)
