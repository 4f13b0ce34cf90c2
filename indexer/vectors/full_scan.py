"""The nearest rows beyond doubt: every code that could belong to one is scanned, every row that could be one compared.

A list is left out only where the triangle inequality says that none of its rows can reach the last hit. Of the other
lists every code is read, and a row is compared on its full vector unless its estimate lies more than `_BOUND` standard
deviations below the last hit. The deviation is known: the estimate of `<q, x>` errs by `<q - c, e>`, where `c` is the
centroid and `e` what the code leaves out of the row, whose length FAISS keeps with the code; over directions of `q - c`
that is normal with deviation `|q - c| |e| / sqrt(dim)` (Gao & Long, SIGMOD 2024, theorem 3.2). FAISS turns no vectors
at random, so a search also looks at the errors of the rows it compared and at the hits it knew: where errors are larger
than they should be the bound is widened, and where that does not help, `None` says that every row has to be compared.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors
from indexer.vectors.code_errors import code_errors
from indexer.vectors.inner_products import dots_at
from indexer.vectors.probing import Prober, Trace
from indexer.vectors.selection import Selection
from indexer.vectors.threads import n_cores

Rows = npt.NDArray[np.int64]
#: Standard deviations that no estimate lies above or below the truth. One row in 10^9 does; of a thousand rows that are
#: seen, none lies beyond `_SEEN` of them but one time in sixty.
_BOUND, _SEEN = 6.0, 4.3
_MOST_WIDENED = 4
_FIRST_CODES, _CODES_A_PART = 4_096, 65_536
_FIRST_DEPTH, _DEEPER = 256, 4
#: So many rows of a part, and so large a share, are sooner compared with all others in the order they lie.
_MANY, _GREAT_SHARE = 20_000, 0.125
_ROUNDING = 3e-6


class _Part(NamedTuple):
    """Rows of some lists that were compared, their scores, and the errors of their codes in standard deviations."""

    rows: Rows
    scores: Floats
    errors: Floats


class _TooManyError(Exception):
    """So many rows could be among the nearest that all are sooner compared."""


class FullScan:
    """Searches all lists of a `Prober`; keeps what is the same for every query.

    Raises `ValueError` if what the codes leave out cannot be told; see `code_errors`.
    """

    def __init__(self, prober: Prober) -> None:
        self.prober = prober
        lists = prober.ann.lists
        self._errors = code_errors(prober.ann) / np.float32(np.sqrt(prober.ann.dim))
        self._lengths = np.sqrt(np.maximum(prober.radii.squared_norms, 1e-12))
        # Cosine and angle between a centroid and the row of its list that lies furthest away from it.
        cosine = (1 + self._lengths**2 - lists.max_radii**2) / (2 * self._lengths)
        self._angles = np.arccos(np.clip(cosine, -1, 1))

    def search(self, query: Vectors, k: int, selection: Selection) -> tuple[Rows, Floats, Trace] | None:
        """Find the rows most like a unit query `(dim,)`, on all cores.

        Returns
        -------
        (int64 (m,), float32 (m,), Trace) or None
            At least `k` rows if there are as many, with their cosines, in no order; `None` if more than a share of the
            rows would be compared.
        """
        known, scores, _ = self.prober.search(query, k, selection)
        if len(scores) < k:
            return None
        least = float(np.partition(scores, len(scores) - k)[len(scores) - k])
        bound = _BOUND
        while bound <= _MOST_WIDENED * _BOUND:
            try:
                found, trace = _Scan(self, query, selection, least, bound).run()
            except _TooManyError:
                return None
            seen = float(np.abs(found.errors).max(initial=0.0))
            if not np.isin(known[scores >= least], found.rows).all():
                seen = bound  # a hit was ruled out
            if seen * _BOUND <= _SEEN * bound:
                rows, first = np.unique(np.concatenate([known, found.rows]), return_index=True)
                return rows, np.concatenate([scores, found.scores])[first], trace
            bound = 1.2 * seen * _BOUND / _SEEN
        return None

    def deviations(self, scores: Floats) -> Floats:
        """Standard deviation of the largest error in each list, float32 `(n_lists,)`; `scores` of the centroids."""
        distances = np.sqrt(np.maximum(self.prober.radii.squared_norms - 2 * scores + 1, 0))
        return np.asarray(self._errors * distances + np.float32(_ROUNDING))

    def could_hold(self, scores: Floats, least: float) -> npt.NDArray[np.bool_]:
        """Lists with a row that may score as much, by the angles between it, the centroid and the query."""
        cosines = np.clip(scores / self._lengths, -1, 1)
        nearest = np.maximum(np.arccos(cosines) - self._angles, 0)
        return np.asarray(np.cos(nearest) >= least - _ROUNDING)


class _Scan:
    """One query with one bound and the least score that a hit has."""

    def __init__(self, full: FullScan, query: Vectors, selection: Selection, least: float, bound: float) -> None:
        prober = full.prober
        self._full, self._ann, self._vectors = full, prober.ann, prober.vectors
        self._query, self._selection = np.ascontiguousarray(query), selection
        self._least, self._bound = least, bound
        self._scores = prober.ann.lists.dots(query)
        self._open = prober.open_in(selection)
        self._deviation = full.deviations(self._scores)

    def run(self) -> tuple[_Part, Trace]:
        lists = np.flatnonzero(self._open.is_open & self._full.could_hold(self._scores, self._least))
        parts = self._split(lists[np.argsort(-(self._scores + self._bound * self._deviation)[lists])])
        found = _Part(*(np.concatenate(columns) for columns in zip(*_each(self._part, parts), strict=True)))
        stopped = (
            f"All {len(lists):,} lists that could hold a better row were scanned, and every row compared whose code "
            f"does not rule it out by {self._bound:.1f} standard deviations of its error."
        )
        n_open, scanned = self._open.n_open, int(self._ann.lists.sizes[lists].sum())
        return found, Trace(len(lists), n_open, scanned, len(found.rows), len(parts), stopped)

    def _split(self, lists: Rows) -> list[Rows]:
        """Lists in parts: what may hold the best comes first, in small ones, as more of its rows are compared."""
        ends = np.cumsum(self._ann.lists.sizes[lists])
        wanted = [_FIRST_CODES]
        while wanted[-1] < ends[-1]:
            wanted.append(wanted[-1] + min(wanted[-1], _CODES_A_PART))
        return [part for part in np.split(lists, np.searchsorted(ends, wanted[:-1])) if len(part)]

    def _part(self, lists: Rows) -> _Part:
        """Scan some lists, deeper until no code left can belong to a hit, and compare what may be one."""
        n_allowed = int(self._open.allowed[lists].sum())
        reach = self._bound * float(self._deviation[lists].max())
        depth = min(_FIRST_DEPTH, n_allowed)
        while True:
            coarse = self._scores[lists][None]
            estimates, rows = self._ann.scan(self._query[None], lists[None], coarse, depth, self._selection)
            estimates, rows = estimates[0][rows[0] >= 0], rows[0][rows[0] >= 0]
            if len(rows) < depth or depth == n_allowed or estimates[-1] + reach < self._least:
                break
            depth = min(depth * _DEEPER, n_allowed)
            if depth > max(_MANY, _GREAT_SHARE * n_allowed):
                raise _TooManyError
        deviation = self._deviation[self._ann.lists.list_of[rows]]
        kept = np.flatnonzero(estimates + self._bound * deviation >= self._least)
        kept = kept[np.argsort(rows[kept])]  # compared in the order they lie
        scores = dots_at(self._vectors, self._query, rows[kept])
        return _Part(rows[kept], scores, (scores - estimates[kept]) / deviation[kept])


def _each(task: Callable[[Rows], _Part], parts: list[Rows]) -> list[_Part]:
    workers = min(n_cores(), len(parts))
    if workers < 2:
        return [task(part) for part in parts]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(task, parts))
