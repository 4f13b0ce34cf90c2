"""Counts of an index over some genes, kept once read: several answers in a row are made of the same ones."""

from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from indexer.index import Index

Rows = npt.NDArray[np.int64]
_MOST_KEPT = 4
_MOST_CELLS = 2**24  # items times genes; a few hundred megabytes at most, as most are zeros
_READ_ROWS = 8_192


class _Known(NamedTuple):
    """Ascending rows, and the counts of each over some genes."""

    rows: Rows
    counts: sp.csr_matrix

    def lacks(self, rows: Rows) -> Rows:
        return np.setdiff1d(rows, self.rows)

    def with_those(self, rows: Rows, counts: sp.csr_matrix) -> "_Known":
        both = np.concatenate([self.rows, rows])
        order = np.argsort(both)
        return _Known(both[order], sp.csr_matrix(sp.vstack([self.counts, counts]))[order])


class KeptCounts:
    """Raw counts of one state of an index, for several threads at once."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._kept: OrderedDict[bytes, _Known] = OrderedDict()
        self._lock = Lock()

    def of(self, rows: Rows, columns: Rows) -> sp.csr_matrix:
        """Raw counts of some items over some genes of the panel, float32 csr `(len(rows), len(columns))`.

        Those of the last few lists of genes are kept, as long as they are not too many.
        """
        key = columns.tobytes()
        with self._lock:
            known = self._kept.get(key)
            if known is None:
                known = _Known(np.empty(0, dtype=np.int64), sp.csr_matrix((0, len(columns)), dtype=np.float32))
            new = known.lacks(rows)
            fits = (len(known.rows) + len(new)) * len(columns) <= _MOST_CELLS
            if fits:
                known = known.with_those(new, self._read(new, columns)) if len(new) else known
                self._kept[key] = known
                self._kept.move_to_end(key)
                if len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
        return known.counts[np.searchsorted(known.rows, rows)] if fits else self._read(rows, columns)

    def _read(self, rows: Rows, columns: Rows) -> sp.csr_matrix:
        starts = range(0, max(len(rows), 1), _READ_ROWS)
        parts = [self._index.expression(rows[start : start + _READ_ROWS])[:, columns] for start in starts]
        return sp.csr_matrix(sp.vstack(parts)) if len(parts) > 1 else parts[0]
