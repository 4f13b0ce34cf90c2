"""Many queries over inverted lists at once: a scan is one call, and those it does not settle scan more lists.

What settles a query is what settles a single one (`indexer.vectors.probing`): no list left may hold enough, and no
code left may hide a better score. The few that are left at last are searched by themselves; those that would take a
good part of the index are compared with every row by matrix products together.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors
from indexer.vectors.ann import pair_dots
from indexer.vectors.evidence import Approach, approach_of
from indexer.vectors.probing import Prober
from indexer.vectors.products import nearest_of_all
from indexer.vectors.selection import Selection
from indexer.vectors.threads import n_cores

Rows = npt.NDArray[np.int64]
_AT_ONCE, _CANDIDATES_AT_ONCE = 256, 2**22  # queries, and what is found for them, of a chunk
#: A scan of so large a share of the codes takes longer than a matrix product with every row.
_GREAT_SHARE = 0.3
_FEWEST_FOR_PRODUCTS = 32
#: Times as many lists as a single search begins with; those who have not enough scan again, if they are so many.
_WIDER, _FEWEST_AGAIN = (1, 4, 16), 8


class _Scan(NamedTuple):
    """What a scan found: rows, -1 where none, and their cosines, and which queries are settled by it."""

    rows: Rows
    scores: Floats
    is_settled: npt.NDArray[np.bool_]
    share: Floats


def search_many(
    prober: Prober, queries: Vectors, k: int, selection: Selection, gone: Sequence[Rows] | None = None
) -> tuple[Rows, Floats]:
    """Find the rows most like each of some unit queries `(q, dim)`: for each as `Prober.search`.

    Parameters
    ----------
    gone : sequence of int64 (m,), optional
        Rows that may not answer each query, ascending.

    Returns
    -------
    int64 (q, k), float32 (q, k)
        Rows and cosines, descending, ties in row order; -1 and -inf where fewer may answer.
    """
    rows = np.full((len(queries), k), -1, dtype=np.int64)
    scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
    great: list[int] = []
    pending = np.arange(len(queries))
    step = max(1, min(_AT_ONCE, _CANDIDATES_AT_ONCE // prober.depth(k, selection.count)))
    for wider in _WIDER:
        if wider > 1 and len(pending) < _FEWEST_AGAIN:
            break
        left = []
        for its in np.split(pending, range(step, len(pending), step)):
            theirs = None if gone is None else [gone[i] for i in its]
            scan = _scan(prober, queries[its], k, selection, theirs, wider)
            rows[its], scores[its] = top(scan.rows, scan.scores, k)
            is_great = ~scan.is_settled & (scan.share > _GREAT_SHARE)
            great += its[is_great].tolist()
            left.append(its[~scan.is_settled & ~is_great])
        pending = np.concatenate(left)
    alone = pending.tolist()
    if len(great) < _FEWEST_FOR_PRODUCTS or not isinstance(prober.vectors, np.ndarray):
        alone, great = alone + great, []
    if great and isinstance(prober.vectors, np.ndarray):
        places = None if selection.is_all else selection.places
        theirs = None if gone is None else [gone[i] for i in great]
        rows[great], scores[great] = nearest_of_all(
            prober.vectors, queries[great], k, places=places, gone=theirs, least=scores[great, -1]
        )
    if alone:
        with ThreadPoolExecutor(n_cores()) as pool:
            for place, found in zip(
                alone, pool.map(lambda i: _alone(prober, queries[i], k, selection, gone, i), alone), strict=True
            ):
                rows[place], scores[place] = found
    return rows, scores


def top(rows: Rows, scores: Floats, k: int) -> tuple[Rows, Floats]:
    """The best `k` of the candidates of each query, `(q, k)`, descending, ties in row order.

    A candidate of -1 is none; where there are too few, what lacks is -1 and -inf.
    """
    scores = np.where(rows >= 0, scores, -np.inf).astype(np.float32, copy=False)
    if scores.shape[1] < k:
        lacking = ((0, 0), (0, k - scores.shape[1]))
        rows, scores = np.pad(rows, lacking, constant_values=-1), np.pad(scores, lacking, constant_values=-np.inf)
    elif scores.shape[1] > k:
        # As many as tie with the last are kept, so that the first of them in row order can be chosen.
        n_kept = int(np.count_nonzero(scores >= _kth(scores, k)[:, None], axis=1).clip(k).max())
        best = np.argpartition(-scores, n_kept - 1, axis=1)[:, :n_kept]
        rows, scores = np.take_along_axis(rows, best, 1), np.take_along_axis(scores, best, 1)
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)


def _alone(
    prober: Prober, query: Vectors, k: int, selection: Selection, gone: Sequence[Rows] | None, place: int
) -> tuple[Rows, Floats]:
    if gone is not None:
        lists = prober.ann.lists
        selection = selection.without(gone[place], (lists.list_of, len(lists.sizes)))
    found, scores, _ = prober.search(query, k, selection)
    rows, cosines = top(found[None], scores[None], k)
    return rows[0], cosines[0]


def _scan(
    prober: Prober, queries: Vectors, k: int, selection: Selection, gone: Sequence[Rows] | None, wider: int
) -> _Scan:
    lists = prober.ann.lists
    near = approach_of(lists.dots_of_all(queries), prober.radii)
    allowed, is_open = prober.allowed_in(selection)
    n_open = int(np.count_nonzero(is_open))
    n_first = min(n_open, wider * prober.first_lists(n_open))
    closed = np.flatnonzero(~is_open)
    behind = near.behind(near.at_standing(prober.evidence.typical_standing))
    behind[:, closed] = np.inf
    take = np.argpartition(behind, n_first - 1, axis=1)[:, :n_first]
    coarse = np.ascontiguousarray(np.take_along_axis(near.scores, take, 1))
    depth = prober.depth(k, int(allowed[take].sum(axis=1).max()))
    estimates, rows = prober.ann.scan(queries, take, coarse, depth, selection)
    last = rows[:, -1].copy()
    if gone is not None:
        rows[_are_gone(rows, gone)] = -1
    scores, least = _compared(prober, queries, k, near, estimates, rows)
    error = prober.code_errors(near, least)
    border = np.where(last >= 0, estimates[:, -1] + error * _errors(near, prober, last[:, None])[:, 0], -np.inf)
    behind = near.behind(least[:, None])
    behind[:, closed] = np.inf
    hits = np.where(scores >= least[:, None], lists.list_of[np.maximum(rows, 0)], take[:, :1])
    furthest = np.take_along_axis(behind, hits.astype(np.int64), 1).max(axis=1)
    reach = prober.evidence.reach(behind.min(axis=1), furthest)
    is_left = (behind <= reach[:, None]) & (near.scores + lists.max_radii >= least[:, None])
    np.put_along_axis(is_left, take, values=False, axis=1)
    is_settled = np.isfinite(least) & (border < least) & ~is_left.any(axis=1)
    return _Scan(rows, scores, is_settled, (is_left * allowed).sum(axis=1) / max(1, int(allowed.sum())))


def _are_gone(rows: Rows, gone: Sequence[Rows]) -> npt.NDArray[np.bool_]:
    """Which of the rows found for each query may not answer it, bool `(q, m)`."""
    found = np.zeros(rows.shape, dtype=np.bool_)
    for place, its in enumerate(gone):
        if len(its):
            found[place] = its[np.minimum(np.searchsorted(its, rows[place]), len(its) - 1)] == rows[place]
    return found


def _compared(
    prober: Prober, queries: Vectors, k: int, near: Approach, estimates: Floats, rows: Rows
) -> tuple[Floats, Floats]:
    """Cosines of the candidates that may be better than the k-th, -inf for the others (made -1), and the k-th."""
    head = max(4 * k, 32)
    threads = n_cores()
    first = pair_dots(queries, prober.vectors, rows[:, :head], threads)
    least = _kth(first, k)
    hopes = estimates[:, head:] + _errors(near, prober, rows[:, head:]) * prober.code_errors(near, least)[:, None]
    rows[:, head:][hopes < least[:, None]] = -1
    rest = pair_dots(queries, prober.vectors, rows[:, head:], threads)
    scores = np.hstack([first, rest])
    return scores, _kth(scores, k)


def _kth(scores: Floats, k: int) -> Floats:
    if scores.shape[1] < k:
        return np.full(len(scores), -np.inf, dtype=np.float32)
    return np.partition(scores, scores.shape[1] - k, axis=1)[:, scores.shape[1] - k]


def _errors(near: Approach, prober: Prober, rows: Rows) -> Floats:
    """What one unit of the error of a code is worth for each row, float32 like `rows`."""
    return near.error_in(prober.ann.lists.list_of[np.maximum(rows, 0)].astype(np.int64))
