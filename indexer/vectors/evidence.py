"""When a search over inverted lists may stop, measured on the vectors it searches.

Two things are measured when the lists are built, on held-out rows, whole, blurred, and with most lists or rows taken
away as a filter would: how many of the neighbours wanted a list holds, as a Poisson regression on how far the score of
the last hit lies above the score of the list's centroid and how far that centroid lies behind the best one; and how
far the estimate of a code lies below the true score. Scores enter in standard deviations of the centroids' scores, so
that a query from another modality, whose cosines all lie close together, is like any other: mean and spread shrink
alike.
"""

from bisect import bisect_right
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from encoders.contracts import Floats, Vectors, unit_rows
from indexer.vectors.ann import AnnIndex, Lists
from indexer.vectors.exact import exact_tops
from indexer.vectors.selection import Selection

Rows = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

_QUERIES = 64
_NEIGHBOURS = 10
_BINS = 8
_CODE_MISS = 0.002
_LIST_MISS = 0.004
_TOLERANCES = (0.1, 0.05, 0.03, 0.02, 0.015, 0.01, 0.008, 0.006, 0.005, 0.004, 0.003, 0.002, 0.001)
_SEED = 20_260
_FEWEST_LISTS = 4
_HEAD, _SAMPLED = 48, 48  # lists of each query the regression sees: the nearest, and some of the others
_FAR_GAP = 6.0  # centroids further behind are taken to be as far as this
_FAR_RISE = 12.0
_STEPS = 25
_LEAST_RADIUS = 0.05


class Evidence(BaseModel):
    """Measured bounds.

    Attributes
    ----------
    weights : tuple of float
        Of the Poisson regression, in the order of `_features`.
    tolerance : float
        Share of the hits wanted that may be expected in lists not scanned.
    standing : tuple of float
        How far the neighbours wanted stand out, ascending; `code_error` is for each.
    code_error : tuple of float
        True score minus estimate that few exceed, in units of `Approach.error`.
    first_lists : int
        Lists the middle query needs.
    n_queries : int
        Queries measured on.
    list_miss : float
        Share of their true neighbours in lists the tolerance leaves out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: tuple[float, ...]
    tolerance: float
    standing: tuple[float, ...]
    code_error: tuple[float, ...]
    first_lists: int
    n_queries: int
    list_miss: float

    def expected(self, near: "Approach", least: Any, best: Any, share: float) -> Floats:
        """Neighbours to be expected in each list, float32 `(n_lists,)`.

        Parameters
        ----------
        near : Approach
            The query, or many.
        least : float
            Score of the last hit so far; of many queries a column.
        best : float
            Score of the best centroid whose list may answer; of many queries a column.
        share : float
            Share of the lists that may answer.
        """
        w, few = self.weights, float(np.log(share))
        z, over = near.standing(least), (least - best) / near.sd  # a column of each where there are many queries
        rise = _between((least - near.scores) / near.spread, -_FAR_RISE, _FAR_RISE)
        gap = _between((best - near.scores) / near.spread, 0.0, _FAR_GAP)
        exponent = (w[1] + w[6] * z + w[8] * over + w[11] * few + w[2] * rise) * rise
        exponent += (w[3] + w[9] * z + w[12] * few + w[4] * gap) * gap
        exponent += w[0] + w[5] * z + w[7] * over + w[10] * few
        return np.asarray(np.exp(_between(exponent, -30.0, 3.0)), dtype=np.float32)

    def code_error_at(self, standing: float) -> float:
        """`code_error` for neighbours that stand out so far."""
        knots, errors = self.standing, self.code_error
        place = bisect_right(knots, standing)
        if not 0 < place < len(knots):
            return errors[0] if place == 0 else errors[-1]
        low, high = knots[place - 1], knots[place]
        return errors[place - 1] + (errors[place] - errors[place - 1]) * (standing - low) / (high - low)


class Approach(NamedTuple):
    """One query before the lists.

    Attributes
    ----------
    scores : float32 (n_lists,)
        Inner product with each centroid.
    mean, sd : float
        Of those scores.
    spread : float32 (n_lists,)
        What one unit of `Evidence.reach` is worth in each list.
    error : float32 (n_lists,)
        What one unit of `Evidence.code_error` is worth in each list: the product of the two residual norms over
        sqrt(dim), to which the error of a RaBitQ code is proportional (Gao & Long 2024, theorem 3.2).
    """

    scores: Floats
    mean: Any
    sd: Any
    spread: Floats
    error: Floats

    def standing(self, score: Any) -> Any:
        """How far a score stands out."""
        return (score - self.mean) / self.sd


class Radii(NamedTuple):
    """What `approach` needs of the lists besides their centroids; the same for every query."""

    relative: Floats
    error: Floats
    squared_norms: Floats


def radii_of(lists: Lists) -> Radii:
    """Radii in units of their mean, over sqrt(dim), and squared norms of the centroids."""
    mean = float((lists.radii * lists.sizes).sum() / max(1, lists.sizes.sum())) or 1.0
    dim = lists.centroids.shape[1]
    norms = np.einsum("ij,ij->i", lists.centroids, lists.centroids)
    radii = np.maximum(lists.radii, np.float32(_LEAST_RADIUS * mean))  # a list of equal rows is no point either
    return Radii((radii / mean).astype(np.float32), (radii / np.sqrt(dim)).astype(np.float32), norms)


def approach(lists: Lists, radii: Radii, query: Vectors) -> Approach:
    """Compare a unit query `(dim,)` with all centroids."""
    return approach_of(lists.dots(query), radii)


def approach_of(scores: Floats, radii: Radii) -> Approach:
    """The same where the inner products with the centroids are known: of one query `(n_lists,)`, or of many `(q, n)`.

    Of many, each part has a row a query.
    """
    n = scores.shape[-1]
    mean = scores.sum(axis=-1, keepdims=True) / np.float32(n)
    centred = scores - mean
    sd = np.maximum(np.sqrt(np.einsum("...i,...i->...", centred, centred)[..., None] / np.float32(n)), 1e-6)
    distance = np.sqrt(np.maximum(radii.squared_norms - 2 * scores, 1e-6 - 1) + 1)
    if scores.ndim == 1:
        return Approach(scores, float(mean[0]), float(sd[0]), radii.relative * sd, radii.error * distance)
    return Approach(scores, mean, sd, radii.relative * sd, radii.error * distance)


def needed(expected: Floats, allowance: float) -> tuple[Rows, float]:
    """Lists to scan so that at most `allowance` neighbours are expected in the others, and how many that leaves.

    The fullest come first.
    """
    total = float(expected.sum(dtype=np.float64))
    if total <= allowance:
        return np.empty(0, dtype=np.int64), total
    some = np.flatnonzero(expected > allowance / len(expected))  # all the others together may be left
    order = some[np.argsort(-expected[some], kind="stable")]
    left = total - np.cumsum(expected[order], dtype=np.float64)
    n = int(np.searchsorted(-left, -allowance)) + 1
    return order[:n], float(left[min(n, len(left)) - 1])


def _between(values: Floats, low: float, high: float) -> Floats:
    return np.minimum(np.maximum(values, low, out=values), high, out=values)  # in less time than np.clip


class _Case(NamedTuple):
    """One query over one subset of the rows: its approach, lists that hold any, last score, neighbours of each list."""

    near: Approach
    holds: npt.NDArray[np.bool_]
    least: float
    best: float
    counts: npt.NDArray[np.int64]
    standing: float
    errors: Floats


def measure(vectors: Vectors, ann: AnnIndex) -> Evidence:
    """Measure the bounds of an index on rows of its own; deterministic."""
    random = np.random.default_rng(_SEED)
    n = len(vectors)
    own = np.linspace(0, n - 1, _QUERIES).astype(np.int64)
    whole = np.ascontiguousarray(vectors[own])
    noise = unit_rows(random.normal(size=whole.shape).astype(np.float32))
    queries = np.vstack([whole, unit_rows(0.5 * whole + noise)])
    subsets = _subsets(ann.lists, random)
    tops = exact_tops(vectors, queries, _NEIGHBOURS + 1, subsets)
    cases = [case for one, top in zip(subsets, tops, strict=True) for case in _cases(ann, queries, one, top, own)]
    standing = np.repeat([case.standing for case in cases], [len(case.errors) for case in cases])
    knots, errors = _by_standing(standing, np.concatenate([case.errors for case in cases]).astype(np.float64))
    draft = Evidence(
        weights=_regression(cases, random),
        tolerance=_TOLERANCES[-1],
        standing=knots,
        code_error=errors,
        first_lists=_FEWEST_LISTS,
        n_queries=len(cases),
        list_miss=0.0,
    )
    return _with_tolerance(draft, cases)


def _subsets(lists: Lists, random: np.random.Generator) -> list[Rows | None]:
    """All rows; those of half and a third of the lists, as wide filters by organ leave; and a tenth of the rows.

    Where a filter leaves fewer lists, all of them are scanned (see `indexer.vectors.probing`), so no bound is needed.
    """
    n_lists, n = len(lists.sizes), len(lists.list_of)
    subsets: list[Rows | None] = [None]
    for part in (2, 3):
        kept = np.zeros(n_lists, dtype=np.bool_)
        kept[random.permutation(n_lists)[: max(_FEWEST_LISTS, n_lists // part)]] = True
        subsets.append(np.flatnonzero(kept[lists.list_of]))
    subsets.append(np.flatnonzero(random.random(n) < 0.1))
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
        least, best = float(score[-1]), float(near.scores[holds].max())
        errors = (score - _estimates(ann, query, rows, near)) / near.error[its]
        counts = np.bincount(its, minlength=n_lists)
        cases.append(_Case(near, holds, least, best, counts, near.standing(least), errors))
    return cases


def _estimates(ann: AnnIndex, query: Vectors, rows: Rows, near: Approach) -> Floats:
    """What the codes say of some rows."""
    allowed = np.zeros(ann.n_rows, dtype=np.bool_)
    allowed[rows] = True
    its = np.unique(ann.lists.list_of[rows]).astype(np.int64)[None]
    selection = Selection(allowed)
    coarse = np.ascontiguousarray(near.scores[its])
    estimates, positions = ann.scan(query[None], its, coarse, len(rows), selection.selector)
    order = np.argsort(positions[0])
    return np.asarray(estimates[0][order][np.argsort(np.argsort(rows))])


def _by_standing(standing: Doubles, error: Doubles) -> tuple[tuple[float, ...], tuple[float, ...]]:
    parts = np.array_split(np.argsort(standing, kind="stable"), _BINS)
    knots = tuple(float(standing[part].mean()) for part in parts)
    return knots, tuple(float(max(0.0, np.quantile(error[part], 1 - _CODE_MISS))) for part in parts)


def _features(case: _Case, lists: Rows) -> Doubles:
    """What the regression knows of some lists of a query, float64 `(len(lists), 13)`; see `Evidence.expected`."""
    near = case.near
    rise = np.clip((case.least - near.scores[lists]) / near.spread[lists], -_FAR_RISE, _FAR_RISE).astype(np.float64)
    gap = np.clip((case.best - near.scores[lists]) / near.spread[lists], 0, _FAR_GAP).astype(np.float64)
    one = np.ones_like(rise)
    z, over = case.standing * one, (case.least - case.best) / near.sd * one
    few = np.log(case.holds.mean()) * one
    columns = [one, rise, rise**2, gap, gap**2, z, rise * z, over, rise * over, gap * z, few, rise * few, gap * few]
    return np.stack(columns, axis=1)


def _regression(cases: list[_Case], random: np.random.Generator) -> tuple[float, ...]:
    """Poisson regression by Newton's method, with a little ridge; lists far away are sampled and weighted."""
    features, counts, weights = [], [], []
    for case in cases:
        held = np.flatnonzero(case.holds)
        order = held[np.argsort(-case.near.scores[held], kind="stable")]
        head, tail = order[:_HEAD], order[_HEAD:]
        full = tail[case.counts[tail] > 0]
        empty = tail[case.counts[tail] == 0]
        some = random.permutation(empty)[:_SAMPLED]
        seen = np.concatenate([head, full, some])
        features.append(_features(case, seen))
        counts.append(case.counts[seen].astype(np.float64))
        share = len(empty) / max(1, len(some))
        weights.append(np.concatenate([np.ones(len(head) + len(full)), np.full(len(some), share)]))
    x, y, weight = np.concatenate(features), np.concatenate(counts), np.concatenate(weights)
    mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    mean[0], scale[0] = 0, 1
    x = (x - mean) / scale
    beta = np.zeros(x.shape[1])
    beta[0] = np.log((weight * y).sum() / weight.sum())
    ridge = 1e-3 * np.eye(len(beta))
    for _ in range(_STEPS):
        rate = weight * np.exp(np.clip(x @ beta, -30, 3))
        step = np.linalg.solve((x * rate[:, None]).T @ x + ridge, x.T @ (weight * y - rate) - ridge @ beta)
        beta += step * min(1.0, 3 / np.abs(step).max())
    unscaled = beta / scale
    unscaled[0] -= (unscaled * mean)[1:].sum()
    return tuple(unscaled.tolist())


def _with_tolerance(draft: Evidence, cases: list[_Case]) -> Evidence:
    """The largest tolerance that leaves no more neighbours out than wanted, measured on the cases."""
    expected = [
        np.where(case.holds, draft.expected(case.near, case.least, case.best, case.holds.mean()), 0) for case in cases
    ]
    for tolerance in _TOLERANCES:
        scanned = [needed(of_case, tolerance * _NEIGHBOURS)[0] for of_case in expected]
        kept = [case.counts[lists].sum() / case.counts.sum() for case, lists in zip(cases, scanned, strict=True)]
        miss = 1 - float(np.mean(kept))
        if miss <= _LIST_MISS:
            break
    plain = [len(lists) for lists in scanned[:_QUERIES]]  # rows as they are, over all rows
    first = int(np.clip(np.median(plain), _FEWEST_LISTS, max(_FEWEST_LISTS, len(expected[0]) // 16)))
    return draft.model_copy(update={"tolerance": tolerance, "list_miss": miss, "first_lists": first})
