"""When a search over inverted lists may stop, measured on the vectors it searches.

How far a list lies behind the last hit is how far the score of its centroid lies below that of the hit, over the radius
of the list: that is what a row of it would have to make up for. Lists are scanned until those left lie further behind
than the nearest list, and than every list that held a hit, by a margin. The margin is measured when the lists are made,
on held-out rows, whole, blurred, and with most lists or rows taken away as a filter would: hits that lie behind a wider
gap than that are as few as the tolerance says. It is wide where the nearest list itself holds nothing near, and narrow
where the query lies within a list. Measured likewise is how far the estimate of a code lies below the true score.
Scores enter in standard deviations of the centroids' scores, so that a query from another modality, whose cosines all
lie close together, is like any other: mean and spread shrink alike.
"""

from bisect import bisect_right
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from encoders.contracts import Floats, Vectors, unit_rows
from indexer.vectors.ann import AnnIndex
from indexer.vectors.exact import exact_tops
from indexer.vectors.lists import Lists
from indexer.vectors.selection import Selection

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]

_QUERIES = 96
_NEIGHBOURS = 10
_BINS = 8
_CODE_MISS = 0.005
#: Tolerances whose margins are kept, and the one that searches begin with.
_TOLERANCES = (0.3, 0.1, 0.05, 0.03, 0.02, 0.01, 0.006, 0.004, 0.002, 0.001, 0.0)
_TOLERANCE = 0.01
_LEAST_MARGIN = 1.0
_FOR_CERTAIN = 1.5  # margin of tolerance 0, in units of the widest gap seen
_SEED = 20_260
_FEWEST_LISTS, _MOST_LISTS = 3, 16
_FIRST_SHARE = 0.75  # share of queries that need no more than the lists scanned at first
_LEAST_RADIUS = 0.05


class Evidence(BaseModel):
    """Measured bounds.

    Attributes
    ----------
    behind : tuple of float
        How far the nearest list lies behind the last hit, ascending; `margins` are for each.
    margins : tuple of tuple of float
        For each tolerance of a fixed list, descending, how wide a gap hardly any hit lies behind.
    tolerance : float
        Share of the hits wanted that may lie in lists not scanned.
    typical_standing : float
        How far the last hit of the middle query stands out, to choose lists by before there are hits.
    standing : tuple of float
        How far the neighbours wanted stand out, ascending; `code_error` is for each.
    code_error : tuple of float
        True score minus estimate that few exceed, in units of `Approach.error`.
    first_lists : int
        Lists that most queries need.
    n_queries : int
        Searches measured on.
    list_miss : float
        Share of their true neighbours in lists the tolerance leaves out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    behind: tuple[float, ...]
    margins: tuple[tuple[float, ...], ...]
    tolerance: float
    typical_standing: float
    standing: tuple[float, ...]
    code_error: tuple[float, ...]
    first_lists: int
    n_queries: int
    list_miss: float

    def reach(self, nearest: Any, furthest_hit: Any) -> Any:
        """How far a list may lie behind the last hit and still be worth a scan; of many queries one each.

        Parameters
        ----------
        nearest : float
            How far the nearest list that may answer lies behind.
        furthest_hit : float
            The same of the furthest list that held one of the hits.
        """
        if isinstance(nearest, float):
            return _between(nearest, self.behind, self._margins) + max(nearest, furthest_hit)
        return np.interp(nearest, self.behind, self._margins) + np.maximum(nearest, furthest_hit)

    def code_error_at(self, standing: float) -> float:
        """`code_error` for neighbours that stand out so far."""
        return _between(standing, self.standing, self.code_error)

    @cached_property
    def _margins(self) -> tuple[float, ...]:
        return self.margins[sum(one > self.tolerance for one in _TOLERANCES[:-1])]


class Approach(NamedTuple):
    """One query before the lists.

    Attributes
    ----------
    scores : float32 (n_lists,)
        Inner product with each centroid.
    mean, sd : float
        Of those scores.
    weight : float32 (n_lists,)
        One over what one unit of `behind` is worth in each list.
    radii : Radii
        Of the lists.
    """

    scores: Floats
    mean: Any
    sd: Any
    weight: Floats
    radii: "Radii"

    def error_in(self, lists: Any) -> Floats:
        """What one unit of `Evidence.code_error` is worth in some lists, float32 like `lists`.

        The product of the two residual norms over sqrt(dim), to which the error of a RaBitQ code is proportional (Gao &
        Long 2024, theorem 3.2). Of many queries `lists` has a row for each.
        """
        scores = self.scores[lists] if self.scores.ndim == 1 else np.take_along_axis(self.scores, lists, axis=1)
        squares = np.maximum(self.radii.squared_norms[lists] - 2 * scores, np.float32(1e-6 - 1)) + 1
        return np.asarray(self.radii.error[lists] * np.sqrt(squares))

    def errors(self) -> Floats:
        """`error_in` of every list, in their order: of one query, where most are asked for one after the other."""
        squares = self.scores * np.float32(-2)
        squares += self.radii.squared_norms
        np.maximum(squares, np.float32(1e-6 - 1), out=squares)
        squares += 1
        np.sqrt(squares, out=squares)
        squares *= self.radii.error
        return squares

    def standing(self, score: Any) -> Any:
        """How far a score stands out."""
        return (score - self.mean) / self.sd

    def at_standing(self, standing: float) -> Any:
        """The score that stands out so far."""
        return self.mean + standing * self.sd

    def behind(self, least: Any) -> Floats:
        """How far each list lies behind a score, float32 `(n_lists,)`."""
        return np.asarray((least - self.scores) * self.weight, dtype=np.float32)


class Radii(NamedTuple):
    """What `approach` needs of the lists besides their centroids; the same for every query."""

    weight: Floats
    error: Floats
    squared_norms: Floats


def radii_of(lists: Lists) -> Radii:
    """One over the radii in units of their mean, radii over sqrt(dim), and squared norms of the centroids."""
    mean = float((lists.radii * lists.sizes).sum() / max(1, lists.sizes.sum())) or 1.0
    dim = lists.centroids.shape[1]
    norms = np.einsum("ij,ij->i", lists.centroids, lists.centroids)
    radii = np.maximum(lists.radii, np.float32(_LEAST_RADIUS * mean))  # a list of equal rows is no point either
    return Radii((mean / radii).astype(np.float32), (radii / np.sqrt(dim)).astype(np.float32), norms)


def approach(lists: Lists, radii: Radii, query: Vectors) -> Approach:
    """Compare a unit query `(dim,)` with all centroids."""
    return approach_of(lists.dots(query), radii)


def approach_of(scores: Floats, radii: Radii) -> Approach:
    """The same where the inner products with the centroids are known: of one query `(n_lists,)`, or of many `(q, n)`.

    Of many, each part has a row a query.
    """
    n = scores.shape[-1]
    if scores.ndim == 1:
        mean = float(np.add.reduce(scores)) / n
        centred = scores - np.float32(mean)
        sd = max(float(np.sqrt(np.vdot(centred, centred) / n)), 1e-6)
        return Approach(scores, mean, sd, radii.weight * np.float32(1 / sd), radii)
    means = scores.sum(axis=-1, keepdims=True) / np.float32(n)
    centred = scores - means
    sds = np.maximum(np.sqrt(np.einsum("ij,ij->i", centred, centred)[:, None] / np.float32(n)), 1e-6)
    return Approach(scores, means, sds, radii.weight / sds, radii)


class _Case(NamedTuple):
    """One query over one subset of the rows.

    How far its lists lie behind the last neighbour, ascending, and the list of each neighbour, nearest list first; how
    far the last neighbour stands out; and the errors of the codes of the neighbours.
    """

    behind: Floats
    hits: Floats
    standing: float
    errors: Floats

    @property
    def gaps(self) -> Floats:
        """Widest gap before each neighbour; those it is wider than the margin for are not found."""
        return np.maximum.accumulate(np.diff(self.hits, prepend=self.behind[0]))


def measure(vectors: Vectors, ann: AnnIndex) -> Evidence:
    """Measure the bounds of an index on rows of its own; deterministic."""
    random = np.random.default_rng(_SEED)
    n = len(vectors)
    own = np.unique(np.linspace(0, n - 1, _QUERIES).astype(np.int64))
    whole = np.ascontiguousarray(vectors[own])
    noise = unit_rows(random.normal(size=whole.shape).astype(np.float32))
    queries = np.vstack([whole, unit_rows(0.5 * whole + noise)])
    subsets = _subsets(ann.lists, random)
    tops = exact_tops(vectors, queries, _NEIGHBOURS + 1, subsets)
    cases = [case for one, top in zip(subsets, tops, strict=True) for case in _cases(ann, queries, one, top, own)]
    plain = cases[: len(own)]  # rows as they are, over all rows
    standing = np.array([case.standing for case in cases])
    errors = [case.errors.astype(np.float64) for case in cases]
    knots, code_error = _by(standing, errors, lambda some: float(max(0.0, np.quantile(some, 1 - _CODE_MISS))))
    nearest, gaps = np.array([float(case.behind[0]) for case in cases]), [case.gaps for case in cases]
    at: list[tuple[float, ...]] = []
    for tolerance in _TOLERANCES:
        behind, margins = _by(nearest, gaps, partial(_margin, tolerance=tolerance))
        # No narrower where the nearest list is nearer: then too few of its rows may answer, and others lie anywhere.
        at.append(tuple(np.maximum.accumulate(np.array(margins)[::-1])[::-1].tolist()))
    draft = Evidence(
        behind=behind,
        margins=tuple(at),
        tolerance=_TOLERANCE,
        typical_standing=float(np.median([case.standing for case in plain])),
        standing=knots,
        code_error=code_error,
        first_lists=_FEWEST_LISTS,
        n_queries=len(cases),
        list_miss=0.0,
    )
    missed = [np.mean(case.hits > draft.reach(case.behind[0], case.hits)) for case in cases]
    lists = [np.count_nonzero(case.behind <= draft.reach(case.behind[0], case.hits[-1])) for case in plain]
    first = int(np.clip(np.quantile(lists, _FIRST_SHARE), _FEWEST_LISTS, _MOST_LISTS))
    return draft.model_copy(update={"list_miss": float(np.mean(missed)), "first_lists": first})


def _subsets(lists: Lists, random: np.random.Generator) -> list[Rows | None]:
    """All rows; those of a half, a third, an eighth of the lists, as filters by organ leave; a tenth, a hundredth."""
    n_lists, n = len(lists.sizes), len(lists.list_of)
    subsets: list[Rows | None] = [None]
    for part in (2, 3, 8):
        kept = np.zeros(n_lists, dtype=np.bool_)
        kept[random.permutation(n_lists)[: max(_FEWEST_LISTS, n_lists // part)]] = True
        subsets.append(np.flatnonzero(kept[lists.list_of]))
    subsets += [np.flatnonzero(random.random(n) < share) for share in (0.1, 0.01)]
    return [subset for subset in subsets if subset is None or len(subset) > 2 * _NEIGHBOURS]


def _cases(ann: AnnIndex, queries: Vectors, subset: Rows | None, top: tuple[Rows, Floats], own: Rows) -> list[_Case]:
    lists, radii = ann.lists, radii_of(ann.lists)
    n_lists = len(lists.sizes)
    holds = lists.sizes > 0 if subset is None else np.bincount(lists.list_of[subset], minlength=n_lists) > 0
    found, scores = top
    cases = []
    for i, query in enumerate(queries):
        others = found[i] != own[i % len(own)]  # a row finds itself first
        rows, score = found[i][others][:_NEIGHBOURS], scores[i][others][:_NEIGHBOURS]
        near = approach(lists, radii, query)
        its = lists.list_of[rows]
        least = float(score[-1])
        errors = (score - _estimates(ann, query, rows, near)) / near.error_in(its)
        behind = near.behind(least)
        cases.append(_Case(np.sort(behind[holds]), np.sort(behind[its]), near.standing(least), errors))
    return cases


def _estimates(ann: AnnIndex, query: Vectors, rows: Rows, near: Approach) -> Floats:
    """What the codes say of some rows."""
    allowed = np.zeros(ann.n_rows, dtype=np.bool_)
    allowed[rows] = True
    its = np.unique(ann.lists.list_of[rows]).astype(np.int64)[None]
    selection = Selection(allowed)
    coarse = np.ascontiguousarray(near.scores[its])
    estimates, positions = ann.scan(query[None], its, coarse, len(rows), selection)
    order = np.argsort(positions[0])
    return np.asarray(estimates[0][order][np.argsort(np.argsort(rows))])


def _between(place: float, knots: tuple[float, ...], values: tuple[float, ...]) -> float:
    """What `np.interp` gives for one place, without making arrays."""
    after = bisect_right(knots, place)
    if not 0 < after < len(knots):
        return values[0] if after == 0 else values[-1]
    low, high = knots[after - 1], knots[after]
    return values[after - 1] + (values[after] - values[after - 1]) * (place - low) / (high - low)


def _by(
    place: Doubles, values: list[Doubles] | list[Floats], bound: Callable[[Any], float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """A bound of the values of cases that lie near each other: the mean place of each bin, and its bound."""
    parts = [part for part in np.array_split(np.argsort(place, kind="stable"), _BINS) if len(part)]
    knots = tuple(float(place[part].mean()) for part in parts)
    return knots, tuple(bound(np.concatenate([values[i] for i in part])) for part in parts)


def _margin(gaps: Floats, tolerance: float) -> float:
    """The narrowest margin that no more than a share of the gaps exceed, one seen more than the share asks for."""
    if tolerance == 0:
        return max(_LEAST_MARGIN, _FOR_CERTAIN * float(gaps.max()))
    share = min(1.0, (1 - tolerance) * (1 + 1 / len(gaps)))
    return max(_LEAST_MARGIN, float(np.quantile(gaps, share, method="higher")))
