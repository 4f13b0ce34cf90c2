"""Many queries over inverted lists at once: each scan is one call for all, on every core its share of the queries.

What settles a query is what settles a single one (`indexer.vectors.probing`): no list left may hold enough, and no
code left may hide a better score. Those that are not settled scan the lists that are left, or deeper. The few at last
that want many lists are searched by themselves; those that would take a good part of the index are compared with every
row by matrix products together.
"""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors
from indexer.vectors.evidence import Approach, approach_of
from indexer.vectors.inner_products import pair_dots
from indexer.vectors.probing import Prober
from indexer.vectors.products import nearest_of_all
from indexer.vectors.selection import Selection
from indexer.vectors.threads import n_cores, threads_for, within

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_AT_ONCE, _CANDIDATES_AT_ONCE = 256, 2**22  # queries, and what is found for them, of a chunk
#: A scan of so large a share of the codes takes longer than a matrix product with every row.
_GREAT_SHARE = 0.3
_FEWEST_FOR_PRODUCTS = 8
#: Pairs of a query and a list of one scan: FAISS keeps a table for each. Queries that want more lists than that many at
#: a time are searched by themselves.
_PAIRS, _MOST_LISTS = 2**14, 256
_GROWTH = 8  # times as many lists as were scanned before, at most, unless a filter leaves one in so many
_FEW_LISTS = 4
_DEEPER = 4  # times as many candidates, where those there were did not show that no better one is left
#: Queries that are scanned before the others tell how deep those are scanned: as deep as all but so many needed.
_PILOTS, _FEW_DEEPER = 16, 0.05
_FEWEST_CANDIDATES = 3  # for each hit wanted


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

    def scan(its: Rows) -> tuple[Rows, Rows]:
        theirs = None if gone is None else [gone[i] for i in its]
        with within(1):
            dots = prober.ann.lists.dots_of_all(queries[its], prober.radii.squared_norms)
            batch = _Batch(prober, queries[its], approach_of(dots, prober.radii), k, selection, theirs)
            batch.search()
        rows[its], scores[its] = batch.rows, batch.scores
        return its[batch.is_alone], its[batch.is_great]

    prober.open_in(selection)  # found once, before there are threads
    most = max(1, min(_AT_ONCE, _CANDIDATES_AT_ONCE // prober.depth(k, selection.count)))
    n_threads = threads_for(len(queries))
    n_parts = max(n_threads, -(-len(queries) // most))
    with ThreadPoolExecutor(n_threads) as pool:
        left = list(pool.map(scan, np.array_split(np.arange(len(queries)), n_parts)))
    alone, great = (np.concatenate(parts).tolist() for parts in zip(*left, strict=True))
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
        selection = selection.without(gone[place], (lists.list_of, lists.sizes))
    with within(1):
        found, scores, _ = prober.search(query, k, selection)
    rows, cosines = top(found[None], scores[None], k)
    return rows[0], cosines[0]


class _Batch:
    """Some queries that are scanned together; what is found is in `rows` and `scores`.

    `is_alone` and `is_great` say which are not settled, and are to be searched by themselves, or with every row.
    """

    def __init__(
        self,
        prober: Prober,
        queries: Vectors,
        near: Approach,
        k: int,
        selection: Selection,
        gone: Sequence[Rows] | None,
    ) -> None:
        self._prober, self._queries, self._near = prober, queries, near
        self._k, self._selection, self._gone = k, selection, gone
        self._open = prober.open_in(selection)
        n_lists, n_open = len(self._open.is_open), self._open.n_open
        self._growth = _GROWTH if _FEW_LISTS * n_open > n_lists else n_lists
        self._n_first = prober.first_lists(n_open)
        self._is_left = np.broadcast_to(self._open.is_open, self._near.scores.shape).copy()
        self._n_taken = np.zeros(len(queries), dtype=np.int64)
        #: Candidates of the last scan of each that could be better than its last hit; -1 where there was none.
        self._n_near = np.full(len(queries), -1, dtype=np.int64)
        self.rows: Rows = np.full((len(queries), k), -1, dtype=np.int64)
        self.scores: Floats = np.full((len(queries), k), -np.inf, dtype=np.float32)
        self.is_alone: Mask = np.zeros(len(queries), dtype=np.bool_)
        self.is_great: Mask = np.zeros(len(queries), dtype=np.bool_)

    def search(self) -> None:
        """Scan the nearest lists, then those that are left, until none is, or too many are."""
        behind = self._behind(self._near, self._near.at_standing(self._prober.evidence.typical_standing))
        its, take = np.arange(len(self._queries)), np.argpartition(behind, self._n_first - 1, axis=1)
        take, n_pilots = take[:, : self._n_first], _PILOTS
        while len(its):
            which, column = np.nonzero(take >= 0)
            self._is_left[its[which], take[which, column]] = False
            n_lists = np.count_nonzero(take >= 0, axis=1)
            self._n_taken[its] += n_lists
            for part in _alike(n_lists):
                for some in filter(len, np.split(part, [n_pilots])):
                    self._probe(its[some], take[some, : n_lists[some].max()])
            its, take = self._left(its[~self.is_alone[its]])
            n_pilots = 0

    def _probe(self, its: Rows, take: Rows) -> None:
        """Scan lists of some queries, -1 where there are fewer, deeper and deeper until they hide nothing better."""
        allowed = np.where(take >= 0, self._open.allowed[take], 0).sum(axis=1)
        usual = self._prober.depth(self._k, int(allowed.max()))
        depth, is_first = min(usual, self._depth(its)), True
        while len(its):
            if not is_first and len(its) * depth > _CANDIDATES_AT_ONCE:
                self.is_alone[its] = True
                return
            more = self._scan(its, take, depth, is_first=is_first) & (depth < allowed)
            its, take, allowed = its[more], take[more], allowed[more]
            depth, is_first = min(max(usual, _DEEPER * depth), int(allowed.max(initial=0))), False

    def _depth(self, its: Rows) -> int:
        """Candidates that were enough before: for most others, or for the same in the lists that are nearer to them."""
        here = self._n_near[its]
        known = self._n_near[self._n_near >= 0]
        if not len(known):
            return sys.maxsize
        enough = float(here.mean() if (here >= 0).all() else np.quantile(known, 1 - _FEW_DEEPER))
        return max(_FEWEST_CANDIDATES * self._k, int(enough) + 1)

    def _scan(self, its: Rows, take: Rows, depth: int, *, is_first: bool) -> Mask:
        """Take in what a scan finds; tells for which queries a better row may lie deeper."""
        near, kept = self._near_of(its), self.scores[its]
        coarse = np.ascontiguousarray(np.take_along_axis(near.scores, np.maximum(take, 0), 1))
        queries = np.ascontiguousarray(self._queries[its])
        estimates, rows = self._prober.ann.scan(queries, take, coarse, depth, self._selection)
        last = rows[:, -1:].copy()
        if self._gone is not None:
            rows[_are_among(rows, [self._gone[i] for i in its])] = -1
        if not is_first:
            rows[_are_among(rows, np.sort(self.rows[its], axis=1))] = -1
        found = self._compared(queries, near, estimates, rows, kept[:, -1])
        self.rows[its], self.scores[its] = top(np.hstack([self.rows[its], rows]), np.hstack([kept, found]), self._k)
        least = self.scores[its, -1]
        lowest = least - self._errors(near, last, least)[:, 0]
        self._n_near[its] = np.count_nonzero(estimates >= lowest[:, None], axis=1)
        is_shallow: Mask = (last[:, 0] >= 0) & (estimates[:, -1] >= lowest)
        return is_shallow

    def _compared(self, queries: Vectors, near: Approach, estimates: Floats, rows: Rows, floor: Floats) -> Floats:
        """Cosines of the candidates that may be better than a score `(q,)`; the others are made -1, with -inf."""
        first = max(4 * self._k, 32)
        if np.isfinite(floor).any():
            rows[estimates + self._errors(near, rows, floor) < floor[:, None]] = -1
        vectors, threads = self._prober.vectors, n_cores()
        head = pair_dots(queries, vectors, rows[:, :first], threads)
        least = np.maximum(floor, _kth(head, self._k))
        rest = rows[:, first:]
        rest[estimates[:, first:] + self._errors(near, rest, least) < least[:, None]] = -1
        return np.hstack([head, pair_dots(queries, vectors, rest, threads)])

    def _left(self, its: Rows) -> tuple[Rows, Rows]:
        """Queries that lists are left for, and those that are scanned next, -1 where there are fewer."""
        near, least = self._near_of(its), self.scores[its, -1]
        is_full = np.isfinite(least)
        typical = near.at_standing(self._prober.evidence.typical_standing)
        behind = self._behind(near, np.where(is_full, least, typical[:, 0])[:, None])
        lists = self._prober.ann.lists
        hits = lists.list_of[np.maximum(self.rows[its], 0)].astype(np.int64)
        furthest = np.take_along_axis(behind, hits, 1).max(axis=1)
        reach = np.where(is_full, self._prober.evidence.reach(behind.min(axis=1), furthest), np.inf)
        is_left = behind <= reach[:, None]
        is_left &= self._is_left[its]
        is_left &= near.scores >= least[:, None] - lists.max_radii
        some = np.flatnonzero(is_left.any(axis=1))  # few, of which more is asked
        return self._next(its[some], is_left[some], behind[some])

    def _next(self, its: Rows, is_left: Mask, behind: Floats) -> tuple[Rows, Rows]:
        """Of lists that are left for some queries those that are scanned next; or the queries are not for a batch."""
        n_left = np.count_nonzero(is_left, axis=1)
        n_next = np.minimum(n_left, self._growth * self._n_taken[its])
        allowed = self._open.allowed
        share = np.array([allowed[one].sum() for one in is_left]) / max(1, int(allowed.sum()))
        self.is_great[its] = share > _GREAT_SHARE
        self.is_alone[its] = (n_next > _MOST_LISTS) & ~self.is_great[its]
        go = np.flatnonzero(~self.is_great[its] & ~self.is_alone[its])
        width = int(n_next[go].max(initial=0))
        behind = np.where(is_left[go], behind[go], np.inf)
        nearest = np.argpartition(behind, width - 1, axis=1)[:, :width] if width else np.empty((0, 0), np.int64)
        order = np.argsort(np.take_along_axis(behind, nearest, 1), axis=1)
        nearest = np.take_along_axis(nearest, order, 1)
        return its[go], np.where(np.arange(width) < n_next[go, None], nearest, -1)

    def _behind(self, near: Approach, least: Any) -> Floats:
        behind = near.behind(least)
        if len(self._open.closed):
            behind[:, self._open.closed] = np.inf
        return behind

    def _near_of(self, its: Rows) -> Approach:
        near = self._near
        if len(its) == len(self._queries):
            return near
        in_a_row = len(its) and its[-1] - its[0] == len(its) - 1
        some = slice(its[0], its[-1] + 1) if in_a_row else its  # nothing is copied of those in a row
        return Approach(near.scores[some], near.mean[some], near.sd[some], near.weight[some], near.radii)

    def _errors(self, near: Approach, rows: Rows, least: Floats) -> Floats:
        """How far the score of each row may lie above its estimate, where the last hit scores `least`."""
        its = self._prober.ann.lists.list_of[np.maximum(rows, 0)].astype(np.int64)
        return near.error_in(its) * self._prober.code_errors(near, least)[:, None]


def _alike(n_lists: Rows) -> Iterator[Rows]:
    """Places of queries that want about as many lists: the one that wants most decides how deep all are scanned."""
    level = np.frexp(n_lists / n_lists.min())[1] // 2
    for one in np.unique(level):
        places = np.flatnonzero(level == one)
        yield from np.array_split(places, -(-len(places) * int(n_lists[places].max()) // _PAIRS))


def _are_among(rows: Rows, others: Sequence[Rows] | Rows) -> Mask:
    """Which of the rows found for each query are among others of its own, ascending; bool `(q, m)`."""
    found = np.zeros(rows.shape, dtype=np.bool_)
    for place, its in enumerate(others):
        if len(its):
            found[place] = its[np.minimum(np.searchsorted(its, rows[place]), len(its) - 1)] == rows[place]
    return found


def _kth(scores: Floats, k: int) -> Floats:
    if scores.shape[1] < k:
        return np.full(len(scores), -np.inf, dtype=np.float32)
    return np.partition(scores, scores.shape[1] - k, axis=1)[:, scores.shape[1] - k]
