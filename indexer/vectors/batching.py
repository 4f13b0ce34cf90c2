"""Many queries over inverted lists at once: the first scan is one call, and those it does not settle go on.

What settles a query is what settles a single one (`indexer.vectors.probing`): no list left may hold enough, and no
code left may hide a better score. A query that is not settled is searched by itself, or, where it would take a good
part of the index, compared with every row by matrix products together with the others like it.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors
from indexer.vectors.ann import pair_dots
from indexer.vectors.evidence import Approach, approach_of
from indexer.vectors.exact import exact_tops
from indexer.vectors.probing import Prober
from indexer.vectors.selection import Selection
from indexer.vectors.threads import n_cores

Rows = npt.NDArray[np.int64]
_AT_ONCE = 128  # queries of a chunk
_MORE = 64  # rows kept of an exact comparison beyond those wanted: two ways of summing may order the last otherwise
#: A scan of so large a share of the codes takes longer than a matrix product with every row.
_GREAT_SHARE = 0.2
_FEWEST_FOR_PRODUCTS = 24


class _First(NamedTuple):
    """What the first scan found: rows, -1 where none, and their cosines, and which queries are settled by it."""

    rows: Rows
    scores: Floats
    is_settled: npt.NDArray[np.bool_]
    share: Floats


def search_many(prober: Prober, queries: Vectors, k: int, selection: Selection) -> list[tuple[Rows, Floats]]:
    """Find the rows most like each of some unit queries `(q, dim)`: for each as `Prober.search`, in no order."""
    found: list[tuple[Rows, Floats]] = []
    alone: list[int] = []
    great: list[int] = []
    for start in range(0, len(queries), _AT_ONCE):
        first = _first_scan(prober, queries[start : start + _AT_ONCE], k, selection)
        found += [(rows[rows >= 0], scores[rows >= 0]) for rows, scores in zip(first.rows, first.scores, strict=True)]
        is_great = first.share > _GREAT_SHARE
        alone += (start + np.flatnonzero(~first.is_settled & ~is_great)).tolist()
        great += (start + np.flatnonzero(~first.is_settled & is_great)).tolist()
    if len(great) < _FEWEST_FOR_PRODUCTS or not isinstance(prober.vectors, np.ndarray):
        alone, great = alone + great, []
    if great:
        subset = None if selection.is_all else selection.places
        rows = exact_tops(prober.vectors, queries[great], k + _MORE, [subset])[0][0]
        scores = pair_dots(queries[great], prober.vectors, rows, n_cores())
        for place, its, cosines in zip(great, rows, scores, strict=True):
            found[place] = (its, cosines)
    if alone:
        with ThreadPoolExecutor(n_cores()) as pool:
            answers = pool.map(lambda i: prober.search(queries[i], k, selection)[:2], alone)
        for place, answer in zip(alone, answers, strict=True):
            found[place] = answer
    return found


def _first_scan(prober: Prober, queries: Vectors, k: int, selection: Selection) -> _First:
    lists = prober.ann.lists
    near = approach_of(lists.dots_of_all(queries), prober.radii)
    allowed, is_open = prober.allowed_in(selection)
    n_open = int(np.count_nonzero(is_open))
    n_first = prober.first_lists(n_open)
    open_scores = np.where(is_open, near.scores, -np.inf)
    take = np.argpartition(open_scores, open_scores.shape[1] - n_first, axis=1)[:, -n_first:]
    coarse = np.ascontiguousarray(np.take_along_axis(near.scores, take, 1))
    depth = prober.depth(k, int(allowed[take].sum(axis=1).max()))
    estimates, rows = prober.ann.scan(queries, take, coarse, depth, selection.selector)
    scores, least = _compared(prober, queries, k, near, estimates, rows)
    error = prober.code_errors(near, least)
    border = np.where(rows[:, -1] >= 0, estimates[:, -1] + error * _errors(near, prober, rows[:, -1:])[:, 0], -np.inf)
    np.put_along_axis(open_scores, take, -np.inf, 1)
    best = np.where(is_open, near.scores, -np.inf).max(axis=1)[:, None]
    could = np.isfinite(open_scores) & (near.scores + lists.max_radii >= least[:, None])
    expected = prober.evidence.expected(near, least[:, None], best, n_open / len(allowed)) * could
    left = expected.sum(axis=1)
    is_settled = np.isfinite(least) & (border < least) & (left <= prober.evidence.tolerance * k)
    wanted = expected > prober.evidence.tolerance * k / len(allowed)
    return _First(rows, scores, is_settled, (wanted * allowed).sum(axis=1) / max(1, int(allowed.sum())))


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
    return np.take_along_axis(near.error, prober.ann.lists.list_of[np.maximum(rows, 0)].astype(np.int64), 1)
