"""Nearest rows by comparing every row: many queries by matrix products, the vectors read once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors
from indexer.vectors.rounded import least_rounded, rounding, rounding_errors, writable
from indexer.vectors.threads import n_cores

Rows = npt.NDArray[np.int64]
_CHUNK_ROWS = 8_192


def exact_tops(vectors: Vectors, queries: Vectors, k: int, subsets: list[Rows | None]) -> list[tuple[Rows, Floats]]:
    """Find the nearest rows of some queries `(q, dim)` within each of some subsets of the rows.

    Parameters
    ----------
    vectors : float32 (n, dim)
        Rows.
    queries : float32 (q, dim)
        Queries.
    k : int
        Neighbours wanted; all there are if a subset has fewer.
    subsets : list of int64 (m,) or None
        Rows of each subset, ascending; `None` for all.

    Returns
    -------
    list of (int64 (q, k), float32 (q, k))
        Rows and inner products for each subset, descending, ties in row order.
    """
    n, widths = len(vectors), [min(k, len(vectors if its is None else its)) for its in subsets]
    with rounding(n * len(queries)) as torch:
        multiply = _whole if torch is None else partial(_rounded, torch)

        def compare(stretch: range) -> list[_Best]:
            best = [_Best(len(queries), width, its) for width, its in zip(widths, subsets, strict=True)]
            multiply(vectors, queries, stretch, best)
            return best

        n_threads = 1 if torch is None else n_cores()  # NumPy's products take every core
        ends = np.linspace(0, n, n_threads + 1).astype(int).tolist()
        with ThreadPoolExecutor(n_threads) as pool:
            parts = list(pool.map(compare, map(range, ends[:-1], ends[1:])))
    return [_first(its, width) for its, width in zip(zip(*parts, strict=True), widths, strict=True)]


def _whole(vectors: Vectors, queries: Vectors, stretch: range, best: list["_Best"]) -> None:
    """Compare a stretch of the rows."""
    for start in range(stretch.start, stretch.stop, _CHUNK_ROWS):
        found = vectors[start : min(start + _CHUNK_ROWS, stretch.stop)] @ queries.T  # quicker so: queries are few
        for one in best:
            near = one.near(start, found, one.least)
            one.add(start + near, found[near])


def _rounded(torch: Any, vectors: Vectors, queries: Vectors, stretch: range, best: list["_Best"]) -> None:
    """As `_whole`, by rounded products: those of rows that may be near are made again of whole ones."""
    torch.set_num_threads(1)  # of this thread: others have rows of their own
    whole = torch.from_numpy(np.ascontiguousarray(queries)).T
    rough = whole.bfloat16().contiguous()
    errors = rounding_errors(queries, rough.float().numpy().T)
    rounded = torch.empty((_CHUNK_ROWS, queries.shape[1]), dtype=torch.bfloat16)
    for start in range(stretch.start, stretch.stop, _CHUNK_ROWS):
        chunk = torch.from_numpy(writable(vectors[start : min(start + _CHUNK_ROWS, stretch.stop)]))
        found = torch.mm(rounded[: len(chunk)].copy_(chunk), rough).float().numpy()
        near = [one.near(start, found, least_rounded(one.least, errors)) for one in best]
        of_any = np.unique(np.concatenate(near))
        found = torch.mm(chunk[torch.from_numpy(of_any)], whole).numpy()
        for one, its in zip(best, near, strict=True):
            one.add(start + its, found[np.searchsorted(of_any, its)])


def _first(parts: Sequence["_Best"], width: int) -> tuple[Rows, Floats]:
    """The best of what stretches of rows hold."""
    rows, scores = np.hstack([one.rows for one in parts]), np.hstack([one.scores for one in parts])
    order = np.lexsort((rows, -scores), axis=1)[:, :width]
    return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)


class _Best:
    """Best rows so far of some queries over one subset of the rows."""

    def __init__(self, n_queries: int, width: int, subset: Rows | None) -> None:
        self.width = width
        self.subset = subset
        self.rows: Rows = np.empty((n_queries, 0), dtype=np.int64)
        self.scores: Floats = np.empty((n_queries, 0), dtype=np.float32)

    @property
    def least(self) -> Floats:
        """Score that a further row must have, float32 `(q,)`."""
        if self.scores.shape[1] < self.width:
            return np.full(len(self.scores), -np.inf, dtype=np.float32)
        return self.scores[:, -1] if self.width else np.full(len(self.scores), np.inf, dtype=np.float32)

    def near(self, start: int, found: Floats, least: Floats) -> Rows:
        """Which of some rows in a row have a score `(m, q)` that is not below the least `(q,)` of any query."""
        if self.subset is None:
            return np.flatnonzero((found >= least).any(axis=1))
        first, last = np.searchsorted(self.subset, (start, start + len(found)))
        its = self.subset[first:last] - start
        return its[(found[its] >= least).any(axis=1)]

    def add(self, its: Rows, found: Floats) -> None:
        """Take in the scores of ascending rows of the subset, float32 `(m, q)`."""
        if not len(its):
            return
        scores = np.hstack([self.scores, found.T])
        rows = np.hstack([self.rows, np.broadcast_to(its, found.T.shape)])
        if scores.shape[1] > self.width:
            top = np.argpartition(-scores, self.width - 1, axis=1)[:, : self.width]
            scores, rows = np.take_along_axis(scores, top, 1), np.take_along_axis(rows, top, 1)
        order = np.lexsort((rows, -scores), axis=1)
        self.scores, self.rows = np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
