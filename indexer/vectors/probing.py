"""Searching inverted lists until the scores say that nothing better is left.

The nearest lists that hold an allowed row are scanned, their best candidates compared on full-precision vectors, and
the score of the k-th hit is then held against what the next list could still hold (`indexer.vectors.evidence`): lists
are added until none could. Likewise candidates are compared as long as the error of their code could hide a better
score. A search never stops because it has found k rows.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors
from indexer.vectors.ann import AnnIndex
from indexer.vectors.evidence import Approach, Evidence, Radii, approach
from indexer.vectors.inner_products import Unmapped, dots_at
from indexer.vectors.kept_threads import each
from indexer.vectors.selection import OpenLists, Selection
from indexer.vectors.threads import faiss_threads, n_cores

Rows = npt.NDArray[np.int64]
_FIRST_LISTS = 3  # scanned at first, whatever the evidence says
_FIRST_DEPTH = 16  # candidates for each hit wanted, at first
_FEWEST, _MOST = 160, 4_096
_CODES_A_CANDIDATE = 40  # of so many codes one is a candidate
_BORDER, _FEW_BORDERS = 64, 16
_FEWEST_DOUBLINGS, _MOST_DOUBLINGS = 0.5, 3.0
_CODES_A_ROW = 4  # where one code in so many is a candidate, comparing every row takes no longer
_GROWTH = 8
_FEW_LOWEST = 8
_FEW_GONE = 64
#: Where a filter leaves no more than one list in so many, all that are worth a scan are scanned at once: their rows are
#: far from most queries, and then it takes most of them.
_FEW_LISTS = 4
#: Microseconds a scan of codes takes: at all, for each list, for each code; and those of a row compared at once.
_SCAN_US, _LIST_US, _CODE_US, _ROW_US = 50.0, 3.0, 0.006, 0.13
_ROUNDING = 1e-4  # what scores of whole vectors err by, in units of `Approach.error_in`
_CODES_OF_ONE_CORE = 65_536  # more are scanned on all cores, each with a few more estimates than its share
_SLACK = 1.2
_MANY_ROWS, _BEST_OF_MANY = 600, 200  # of more candidates than that, the best are compared before the others
_ANYWHERE = float(np.finfo(np.float32).max)  # what all lists lie less far behind that may hold a hit


class Trace(NamedTuple):
    """What a search over lists looked at.

    Attributes
    ----------
    lists_probed, lists_allowed : int
        Lists scanned, and lists that hold a row that may answer.
    n_scanned : int
        Codes in the lists scanned.
    n_compared : int
        Rows compared on full-precision vectors.
    rounds : int
        Scans it took.
    why : str or callable
        Why it stopped, as a sentence; words are put together only if they are read.
    """

    lists_probed: int
    lists_allowed: int
    n_scanned: int
    n_compared: int
    rounds: int
    why: str | Callable[[], str]

    @property
    def stopped(self) -> str:
        """Why it stopped, as a sentence."""
        return self.why if isinstance(self.why, str) else self.why()


NOTHING = Trace(0, 0, 0, 0, 0, "Nothing was scanned.")


class _Estimates(NamedTuple):
    """Estimates, descending, of what rows; `least` is one that no row lacking here exceeds, -inf if none lacks."""

    estimates: Floats
    rows: Rows
    least: float

    def without(self, gone: npt.NDArray[np.bool_]) -> "_Estimates":
        """The same without some rows."""
        return _Estimates(self.estimates[~gone], self.rows[~gone], self.least)


class Prober:
    """Searches one index; keeps what is the same for every query."""

    def __init__(self, ann: AnnIndex, vectors: Vectors | Unmapped, evidence: Evidence, radii: Radii) -> None:
        self.ann = ann
        self.vectors = vectors
        self.evidence = evidence
        self.radii = radii
        #: Whether lists hold whole vectors, whose scores err by their rounding alone.
        self.is_whole = ann.kind == "ivf_flat"
        #: Of each list, how many rows are compared in the time its codes are scanned.
        self.worth_rows = (_LIST_US + _CODE_US * ann.lists.sizes) / _ROW_US

    def search(
        self, query: Vectors, k: int, selection: Selection, floor: float = -np.inf
    ) -> tuple[Rows, Floats, Trace]:
        """Find the rows most like a unit query `(dim,)`; of those below a score of `floor` any may be missing.

        Returns
        -------
        int64 (m,), float32 (m,), Trace
            The best `k` rows if there are as many above the floor, and those that tie with the last, with their
            cosines, in no order.
        """
        with faiss_threads(1):
            return self._search(query, k, selection, floor)

    def _search(self, query: Vectors, k: int, selection: Selection, floor: float) -> tuple[Rows, Floats, Trace]:
        lists = self.ann.lists
        near = approach(lists, self.radii, query)
        allowed, _, n_open, closed = self.open_in(selection)
        run = _Run(self, query, k, near, selection, floor)
        growth = _GROWTH if _FEW_LISTS * n_open > len(allowed) else len(allowed)
        n_first = self.first_lists(n_open)
        behind = near.behind(near.at_standing(self.evidence.typical_standing))
        if growth == len(allowed):
            nearest = float(behind.min())
            behind[closed] = np.inf
            if float(behind.min()) > self.evidence.reach(nearest, nearest):
                n_first = n_open  # none that may answer lies where hits of such a query do: they are far from all
        behind[closed] = np.inf
        take = taken = _lowest(behind, n_first)
        rounds, reach = 0, _ANYWHERE
        hits = run.hits()
        while len(take):
            run.scan(take, allowed[take])
            hits = run.hits()
            taken, rounds = take if rounds == 0 else np.concatenate([taken, take]), rounds + 1
            if len(taken) == n_open:
                break
            if run.least > -np.inf:
                behind = near.behind(run.least)
                behind[closed] = np.inf
                furthest_hit = float(behind[lists.list_of[hits[0]]].max(initial=-np.inf))
                reach = self.evidence.reach(float(behind.min()), furthest_hit)
            behind[taken] = np.inf
            take = (behind <= reach).nonzero()[0]
            if len(take) and run.least > -np.inf:
                # No row of those whose largest radius does not reach the last hit can be better.
                take = take[near.scores[take] + lists.max_radii[take] >= run.least]
            if len(take) > growth * len(taken):
                take = take[_lowest(behind[take], growth * len(taken))]
        every = len(taken) == n_open
        why = "Every list that holds an allowed row was scanned." if every else partial(self._why, run.least)
        scanned = int(lists.sizes[taken].sum())
        return *hits, Trace(len(taken), n_open, scanned, len(run.rows), rounds + run.rescans, why)

    def open_in(self, selection: Selection) -> OpenLists:
        """Which lists hold a row that may answer."""
        return selection.open_lists(self.ann.lists.list_of, self.ann.lists.sizes)

    def first_lists(self, n_open: int) -> int:
        """Lists to scan at first, of so many that hold a row that may answer."""
        return min(max(_FIRST_LISTS, self.evidence.first_lists), n_open)

    def depth(self, k: int, n_allowed: int) -> int:
        """Candidates to take at first from lists that hold so many rows that may answer."""
        return min(n_allowed, max(_FIRST_DEPTH * k, _FEWEST, min(_MOST, n_allowed // _CODES_A_CANDIDATE)))

    def estimates(
        self, query: Vectors, near: tuple[Rows, Floats], depth: int, share: float, selection: Selection
    ) -> _Estimates:
        """The best estimates of a query `(dim,)` in some lists; on all cores where there is much to scan.

        Parameters
        ----------
        near : int64 (m,), float32 (m,)
            Lists, the nearest first, and the inner product of the query with their centroids.
        depth : int
            Estimates wanted; several cores may give a few more, or fewer where they lie in one part of the lists.
        share : float
            Which part of all in these lists that is.
        selection : Selection
            Rows that may answer.
        """
        lists, coarse = near
        n_parts = 1
        if len(lists) > _FEW_BORDERS and int(self.ann.lists.sizes[lists].sum()) > _CODES_OF_ONE_CORE:
            n_parts = n_cores()
        if n_parts == 1:
            n_gone = selection.n_gone(lists)
            if n_gone > _FEW_GONE:
                return _estimates([self.ann.scan(query[None], lists[None], coarse[None], depth, selection)])
            # A few rows that may not answer are sooner passed over here than by a mask of all rows.
            found = _estimates([self.ann.scan(query[None], lists[None], coarse[None], depth + n_gone, selection.whole)])
            return found.without(selection.is_gone(found.rows)) if n_gone else found
        selection.ready()
        its_depth = depth if _CODES_A_ROW * share > 1 else int(_SLACK * depth / n_parts)
        parts = [slice(start, None, n_parts) for start in range(n_parts)]

        def scan(part: slice) -> tuple[Floats, Rows]:
            its = np.ascontiguousarray(coarse[part])[None]
            return self.ann.scan(query[None], lists[part][None], its, its_depth, selection)

        return _estimates(each(scan, parts))

    def code_errors(self, near: Approach, least: Floats) -> Floats:
        """Error of a code that few exceed, in units of `Approach.error_in`; of many queries one each."""
        if self.is_whole:
            return np.full(np.shape(least), _ROUNDING, dtype=np.float32)
        standing = near.standing(least[:, None])[:, 0]
        return np.asarray(np.interp(standing, self.evidence.standing, self.evidence.code_error), dtype=np.float32)

    def _why(self, least: float) -> str:
        return (
            f"The last hit scores {least:.4f}; every list left lies further behind it than those that held hits, by a "
            f"margin beyond which {self.evidence.list_miss:.2%} of the hits of {self.evidence.n_queries:,} held-out "
            "searches lay."
        )


class _Run:
    """Candidates of one query so far."""

    def __init__(
        self, prober: Prober, query: Vectors, k: int, near: Approach, selection: Selection, floor: float
    ) -> None:
        self._ann, self._vectors = prober.ann, prober.vectors
        self._prober = prober
        self._query, self._k, self._near, self._selection = np.ascontiguousarray(query), k, near, selection
        self._errors = near.errors()
        self._depth = 0
        self.rows: Rows = np.empty(0, dtype=np.int64)
        self.scores: Floats = np.empty(0, dtype=np.float32)
        self.least = self._floor = floor
        self.rescans = 0

    def hits(self) -> tuple[Rows, Floats]:
        """The best so far, in no order."""
        best = (self.scores >= self.least).nonzero()[0]
        return self.rows[best], self.scores[best]

    def scan(self, lists: Rows, allowed: Rows) -> None:
        """Scan some lists, of which `allowed` rows each may answer."""
        n_allowed = int(allowed.sum())
        at_once = self._compared_at_once(lists, allowed)
        if at_once is not None:
            self._add_all(lists[at_once])
            lists, n_allowed = lists[~at_once], n_allowed - int(allowed[at_once].sum())
        if len(lists):
            self._scan_codes(lists, n_allowed)

    def _compared_at_once(self, lists: Rows, allowed: Rows) -> npt.NDArray[np.bool_] | None:
        """Which lists hold so few rows that may answer that comparing them takes no longer than a scan of the codes."""
        if not isinstance(self._vectors, np.ndarray):
            return None
        too_many = allowed - self._prober.worth_rows[lists]
        if _ROW_US * float(np.maximum(too_many, 0).sum()) < _SCAN_US:  # what is left is not worth a scan
            return np.ones(len(lists), dtype=np.bool_)
        at_once = too_many < 0
        return at_once if at_once.any() else None

    def _scan_codes(self, lists: Rows, n_allowed: int) -> None:
        """Scan the codes of some lists, deeper and deeper until what is left in them cannot be better."""
        coarse = self._near.scores[lists]
        order = np.argsort(-coarse)  # good candidates first, so that fewer displace others
        lists, coarse = lists[order], coarse[order]
        kept = (self.rows, self.scores)
        errors = self._errors[lists]
        widest = float(errors.max())
        self._depth = max(self._depth, self._prober.depth(self._k, n_allowed))
        while True:
            depth = min(self._depth, n_allowed + 1)  # of so many at least one is lacking, which shows that none else is
            share = depth / n_allowed
            found = self._prober.estimates(self._query, (lists, coarse), depth, share, self._selection)
            self.rows, self.scores = kept
            self._compare(found.estimates, found.rows, widest)
            if found.least == -np.inf:
                return
            border = float(errors.sum()) / len(lists) if len(lists) <= _FEW_BORDERS else self._border(found.rows)
            to_go = found.least + self._code_error() * border - self.least
            if to_go < 0:
                return
            self.rescans += 1
            self._depth = _deeper(found.estimates, to_go, self._depth)
            if _CODES_A_ROW * self._depth > n_allowed and isinstance(self._vectors, np.ndarray):
                # The codes tell too little apart: every row is sooner compared.
                self.rows, self.scores = kept
                self._add_all(lists)
                return

    def _add_all(self, lists: Rows) -> None:
        of_lists = self._ann.lists
        self._add(self._selection.in_lists(lists, of_lists.list_of, of_lists.sizes))

    def _border(self, found: Rows) -> float:
        """What one unit of the error of a code is worth for those that come just after the candidates."""
        return float(self._errors[self._ann.lists.list_of[found[-_BORDER:]]].mean())

    def _compare(self, estimates: Floats, found: Rows, widest: float) -> None:
        """Compare the best of the candidates, then those that may be better than the last hit.

        `widest` is what one unit of the error of a code is worth at most.
        """
        first = 0
        if len(self.rows) < self._k or estimates[:1] > self.least:
            first = max(4 * self._k, 32)
            self._add(found[:first])
        error = self._code_error()
        # Estimates descend: those behind the first that is too low cannot be better.
        most = int(np.count_nonzero(estimates >= self.least - error * widest))
        if most > first:
            rest = found[first:most]
            highest = self._errors[self._ann.lists.list_of[rest]] * np.float32(error) + estimates[first:most]
            kept = (highest >= self.least).nonzero()[0]
            if len(kept) > _MANY_ROWS:  # the best of them may rule out others
                self._add(rest[kept[:_BEST_OF_MANY]])
                kept = kept[_BEST_OF_MANY:]
                kept = kept[highest[kept] >= self.least]
            self._add(rest[kept])

    def _add(self, rows: Rows) -> None:
        if not len(rows):
            return
        rows = np.sort(rows)  # in the order they lie
        scores = dots_at(self._vectors, self._query, rows)
        if len(self.rows):
            rows, scores = np.concatenate([self.rows, rows]), np.concatenate([self.scores, scores])
        self.rows, self.scores = rows, scores
        place = len(scores) - self._k
        if place >= 0:
            self.least = max(self._floor, float(np.partition(scores, place)[place]))

    def _code_error(self) -> float:
        """Error of a code that few exceed, in units of `Approach.error_in`, for what scores like the last hit."""
        if self._prober.is_whole:
            return _ROUNDING
        return self._prober.evidence.code_error_at(self._near.standing(self.least))


def _estimates(scans: list[tuple[Floats, Rows]]) -> _Estimates:
    """What some scans of other lists found, each for one query and as many as it was asked for, -1 where none."""
    least = max((float(found[0, -1]) for found, rows in scans if rows[0, -1] >= 0), default=-np.inf)
    if len(scans) == 1:
        found, rows = scans[0][0][0], scans[0][1][0]
        n = len(rows) if least > -np.inf else int(np.count_nonzero(rows >= 0))  # those that are -1 come last
        return _Estimates(found[:n], rows[:n], least)
    found, rows = (np.concatenate(column, axis=1)[0] for column in zip(*scans, strict=True))
    there = np.flatnonzero((rows >= 0) & (found >= least))
    order = there[np.argsort(-found[there], kind="stable")]  # which is quick where there are some runs in order
    return _Estimates(found[order], rows[order], least)


def _deeper(estimates: Floats, to_go: float, depth: int) -> int:
    """How many estimates there are that lie no further than `to_go` below the last, by how fast they fall.

    More than `depth`, which were asked for: several cores may have given fewer.
    """
    n = len(estimates)
    fall = float(estimates[n // 2] - estimates[-1])  # while their number doubled
    doublings = to_go / fall if fall > 0 else _MOST_DOUBLINGS
    return int(max(n, depth) * 2 ** min(max(doublings, _FEWEST_DOUBLINGS), _MOST_DOUBLINGS)) + 1


def _lowest(values: Floats, n: int) -> Rows:
    """Places of the `n` lowest values, in no order."""
    if n >= len(values):
        return np.arange(len(values))
    if n <= _FEW_LOWEST:  # so few are found one after the other in less time
        left, places = values.copy(), []
        for _ in range(n):
            places.append(int(left.argmin()))
            left[places[-1]] = np.inf
        return np.array(places, dtype=np.int64)
    return np.argpartition(values, n)[:n]
