"""Format `xena`: matrices of UCSC Xena, genes by samples, log2(x + 1); they are turned back into x."""

from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from indexer.errors import CountsError
from indexer.format import Circumstances, Format, files_at
from indexer.readers.anndata_file import checked_counts
from indexer.readers.dense_table import read_dense, read_header
from indexer.readers.measured import GeneColumns, Measured
from indexer.readers.samples import open_samples
from indexer.slides import SlideSource

_SUFFIXES = (".tsv", ".tsv.gz", ".txt", ".txt.gz", ".gz", "HiSeqV2")
_MAX_LOG2 = 40.0  # 1e12: no count


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    found: list[SlideSource] = []
    for path in files_at(place, tuple(s.lower() for s in _SUFFIXES), what="matrices of Xena, tab-separated"):
        names = read_header(path)[1:]
        found += open_samples(path, names, partial(_read, path), around, technology="bulk RNA-seq")
    return found


def _read(path: Path) -> Measured:
    table = read_dense(path)
    low, high = float(table.values.min()), float(table.values.max())
    if low < 0 or high > _MAX_LOG2:
        raise CountsError(
            f"{path} has values from {low:g} to {high:g}; expected log2(x + 1), from 0 to {_MAX_LOG2:g}. Matrices with "
            "their mean taken off (PANCAN) or with another constant cannot be turned back: take HiSeqV2 or STAR counts."
        )
    counts = np.exp2(table.values.T.astype(np.float64)) - 1
    return Measured(
        table.columns,
        checked_counts(sp.csr_matrix(counts), path.name),
        GeneColumns(table.rows),
        remarks=("values are taken for log2(x + 1) and turned back into x",),
    )


FORMAT = Format("xena", "UCSC Xena matrices, log2(x + 1), bulk samples", _find)
