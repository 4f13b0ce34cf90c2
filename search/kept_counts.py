"""Counts of an index over some genes, kept once read: several answers in a row are made of the same ones."""

from collections import OrderedDict
from threading import Lock

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from indexer.index import Index

Rows = npt.NDArray[np.int64]
_MOST_KEPT = 4
_MOST_CELLS = 2**24  # items times genes; a few hundred megabytes at most, as most are zeros
_READ_ROWS = 8_192


class KeptCounts:
    """Raw counts of one state of an index, for several threads at once."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._kept: OrderedDict[bytes, sp.csr_matrix] = OrderedDict()
        self._lock = Lock()

    def of(self, rows: Rows, columns: Rows) -> sp.csr_matrix:
        """Raw counts of some items over some genes of the panel, float32 csr `(len(rows), len(columns))`.

        If most of an index is asked for that is not too large, all of it is read and kept for the next few questions
        about the same genes.
        """
        key = columns.tobytes()
        with self._lock:
            known = self._kept.get(key)
            if known is None and 2 * len(rows) >= len(self._index) and len(self._index) * len(columns) <= _MOST_CELLS:
                known = self._read(np.arange(len(self._index)), columns)
            if known is not None:
                self._kept[key] = known
                self._kept.move_to_end(key)
                if len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
        return self._read(rows, columns) if known is None else known[rows]

    def _read(self, rows: Rows, columns: Rows) -> sp.csr_matrix:
        starts = range(0, max(len(rows), 1), _READ_ROWS)
        parts = [self._index.expression(rows[start : start + _READ_ROWS])[:, columns] for start in starts]
        return sp.csr_matrix(sp.vstack(parts)) if len(parts) > 1 else parts[0]
