"""Nearest rows by comparing every row: many queries by matrix products, the vectors read once."""

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors

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
    best = [_Best(len(queries), min(k, len(vectors if its is None else its)), its) for its in subsets]
    for start in range(0, len(vectors), _CHUNK_ROWS):
        found = vectors[start : start + _CHUNK_ROWS] @ queries.T  # quicker so, where there are few queries
        # One look for all subsets: hardly a row of the chunk is better than what one of them has already.
        least = np.min([one.least for one in best], axis=0)
        near = np.flatnonzero((found > least).any(axis=1))
        near_found = found[near] if len(near) < len(found) else found
        for one in best:
            one.add(start + near, near_found)
    return [(one.rows, one.scores) for one in best]


class _Best:
    """Best rows so far of some queries over one subset of the rows."""

    def __init__(self, n_queries: int, width: int, subset: Rows | None) -> None:
        self.width = width
        self.subset = subset
        self.rows: Rows = np.empty((n_queries, 0), dtype=np.int64)
        self.scores: Floats = np.empty((n_queries, 0), dtype=np.float32)

    @property
    def least(self) -> Floats:
        """Score that a further row must be above, float32 `(q,)`."""
        if self.scores.shape[1] < self.width:
            return np.full(len(self.scores), -np.inf, dtype=np.float32)
        return self.scores[:, -1] if self.width else np.full(len(self.scores), np.inf, dtype=np.float32)

    def add(self, its: Rows, found: Floats) -> None:
        """Take in the scores of ascending rows, float32 `(m, q)`."""
        if self.subset is not None and len(its):
            first, last = np.searchsorted(self.subset, (its[0], its[-1] + 1))
            _, places, _ = np.intersect1d(its, self.subset[first:last], assume_unique=True, return_indices=True)
            its, found = its[places], found[places]
        if self.scores.shape[1] == self.width:
            near = np.flatnonzero((found > self.least).any(axis=1))
            its, found = its[near], found[near]
        if not len(its):
            return
        scores = np.hstack([self.scores, found.T])
        rows = np.hstack([self.rows, np.broadcast_to(its, found.T.shape)])
        if scores.shape[1] > self.width:
            top = np.argpartition(-scores, self.width - 1, axis=1)[:, : self.width]
            scores, rows = np.take_along_axis(scores, top, 1), np.take_along_axis(rows, top, 1)
        order = np.lexsort((rows, -scores), axis=1)
        self.scores, self.rows = np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
