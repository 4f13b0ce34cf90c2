"""Formats `xena` and `cptac`: genes by samples as logarithms to base 2, which are turned back into amounts."""

from functools import partial
from pathlib import Path

import numpy as np

from indexer.errors import CountsError
from indexer.format import Circumstances, Format, files_at
from indexer.readers.dense_table import read_column_names
from indexer.readers.measured import GeneColumns
from indexer.readers.sample_matrix import Block, read_sample_matrix
from indexer.readers.samples import SampleCounts, open_samples, open_tables
from indexer.slides import SlideSource

_XENA = (".tsv", ".tsv.gz", ".txt", ".txt.gz", ".gz", "hiseqv2")
_CPTAC = (".tsv", ".tsv.gz", ".txt", ".txt.gz", ".cct", ".cct.gz", ".csv", ".csv.gz")
_MAX_LOG2 = 40.0  # 1e12: no amount


def _find(place: Path, around: Circumstances, *, suffixes: tuple[str, ...], what: str, gaps: bool) -> list[SlideSource]:
    def open_one(path: Path) -> list[SlideSource]:
        read = partial(_read, path, gaps=gaps)
        return open_samples(path, read_column_names(path), read, around, technology="bulk RNA-seq")

    return open_tables(files_at(place, suffixes, what=what), open_one, around)


def _read(path: Path, *, gaps: bool) -> SampleCounts:
    table = read_sample_matrix(path, convert=partial(_from_log2, path), drop_missing=gaps)
    said = ["values are taken for log2(x + 1) and turned back into x"]
    if table.n_missing:
        said.append(f"{table.n_missing:,} genes without a value in some sample are left out")
    return SampleCounts(table.samples, table.rows, GeneColumns([text[0] for text in table.texts]), tuple(said))


def _from_log2(path: Path, values: Block) -> Block:
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > _MAX_LOG2:
        raise CountsError(
            f"{path} has values from {low:g} to {high:g}; expected log2(x + 1), from 0 to {_MAX_LOG2:g}. Values below "
            "0 are of a matrix with its mean taken off (PANCAN), with another constant, or of log ratios of proteins: "
            "they cannot be turned back into amounts. Take RNA: HiSeqV2, RSEM as log2(x + 1), or STAR counts."
        )
    return np.exp2(values) - 1


FORMAT = Format(
    "xena",
    "UCSC Xena matrices, log2(x + 1), bulk samples",
    partial(_find, suffixes=_XENA, what="matrices of Xena, tab-separated", gaps=False),
)
CPTAC = Format(
    "cptac",
    "CPTAC tables of RNA, genes by samples, log2(x + 1), bulk samples",
    partial(_find, suffixes=_CPTAC, what="tables of CPTAC, genes by samples", gaps=True),
)
