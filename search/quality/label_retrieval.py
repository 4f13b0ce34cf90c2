"""Whether the neighbours of a spot in other patients bear its label: hits, majority votes, precision, F1 by class."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from search.quality.label_neighbours import DEPTH, Neighbourhoods, Rows
from search.quality.quality_figures import N_DRAWS, RANDOM, Doubles, Figure, interval

HITS, VOTES = (1, 3, 5, 10), (1, 3, 5)
MOST_COMMON = "most common label"
MAP = f"mAP@{DEPTH} (of min({DEPTH}, relevant))"


def votes(top: Rows, k: int) -> Rows:
    """Majority label of the first k, int64 `(n,)`; of tied labels the one whose first bearer is nearest."""
    return np.array([Counter(row[row >= 0].tolist()).most_common(1)[0][0] for row in top[:, :k]], dtype=np.int64)


def f1_by_class(true: Rows, voted: Rows, n_classes: int) -> Doubles:
    """F1 of each class, float64 `(n_classes,)`; NaN for classes that no query bears."""
    confusion = np.bincount(true * n_classes + voted, minlength=n_classes**2).reshape(n_classes, n_classes)
    right, borne, given = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    f1: Doubles = np.where(borne > 0, 2 * right / np.maximum(borne + given, 1), np.nan)
    return f1


def label_measures(found: Neighbourhoods, n_classes: int) -> tuple[list[str], Callable[[Rows], Doubles]]:
    """Names of the metrics, and a function that gives them for some queries (rows of `found`).

    `hit@k`: any of the first k bears the label. `majority vote @k`: share of queries whose majority label is right.
    `macro-F1 @k`: mean F1 over the classes that queries bear. `mAP@10`: mean over queries of the sum of the precision
    at each right answer among the first 10, divided by 10 or by the number of relevant answers where that is smaller
    (0 where there is none). The last metrics are the F1 of each class at the deepest vote.
    """
    right = found.top == found.true[:, None]
    hits = np.stack([right[:, :k].any(axis=1) for k in HITS], axis=1)
    precision = np.cumsum(right, axis=1) / np.arange(1, right.shape[1] + 1)
    ap = (precision * right).sum(axis=1) / np.maximum(np.minimum(DEPTH, found.n_relevant), 1)
    voted = [votes(found.top, k) for k in VOTES]
    each = np.column_stack([hits, *[v == found.true for v in voted], ap]).astype(np.float64)
    names = [f"hit@{k}" for k in HITS] + [f"majority vote @{k}" for k in VOTES] + [MAP]
    names += [f"macro-F1 @{k}" for k in VOTES]

    def measure(rows: Rows) -> Doubles:
        by_class = [f1_by_class(found.true[rows], v[rows], n_classes) for v in voted]
        return np.concatenate([each[rows].mean(axis=0), [np.nanmean(f1) for f1 in by_class], by_class[-1]])

    return names, measure


def label_figures(
    found: Neighbourhoods | Sequence[Neighbourhoods],
    classes: Sequence[str],
    *,
    question: str,
    method: str,
    trained_on: bool = False,
    note: str = "",
    seed: int = 0,
) -> list[Figure]:
    """Figures of one method over all its queries; of several neighbourhoods their mean, without an interval.

    Intervals resample patients, and the queries of each.
    """
    several = [found] if isinstance(found, Neighbourhoods) else list(found)
    first = several[0]
    names: list[str] = []
    values = []
    for one in several:
        names, measure = label_measures(one, len(classes))
        values.append(measure(np.arange(len(one.true))))
    mean = np.mean(values, axis=0)
    drawn = _redrawn(first, measure, seed) if len(several) == 1 else np.empty((0, len(mean)))
    names = [*names, *(f"F1 @{VOTES[-1]} {name}" for name in classes)]
    n_patients = len(np.unique(first.patients))
    figures = []
    for column, name in enumerate(names):
        low, high = interval(drawn[:, column]) if len(drawn) else (None, None)
        if np.isfinite(mean[column]):
            figures.append(
                Figure(
                    question=question,
                    metric=name,
                    method=method,
                    group=f"{n_patients} patients, each left out" if n_patients > 1 else f"patient {first.patients[0]}",
                    value=float(mean[column]),
                    low=low,
                    high=high,
                    n_queries=len(first.true),
                    n_gallery=first.n_gallery,
                    trained_on=trained_on and method not in {RANDOM, MOST_COMMON},
                    note=note,
                )
            )
    return figures


def _redrawn(found: Neighbourhoods, measure: Callable[[Rows], Doubles], seed: int) -> Doubles:
    rng = np.random.default_rng(seed)
    own = [np.flatnonzero(found.patients == patient) for patient in np.unique(found.patients)]
    draws = []
    for _ in range(N_DRAWS):
        chosen = [own[i] for i in rng.integers(len(own), size=len(own))]
        draws.append(measure(np.concatenate([rows[rng.integers(len(rows), size=len(rows))] for rows in chosen])))
    return np.array(draws)
