"""Whether the neighbours of a spot in other patients bear its label: hits, majority votes, precision, F1 by class."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.errors import QueryError
from search.quality_figures import N_DRAWS, RANDOM, Doubles, Figure, interval

Labels = npt.NDArray[np.str_]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
#: Similarity of some rows (first) with others (second), float `(n_first, n_second)`.
Similarity = Callable[[Rows, Rows], npt.NDArray[np.floating]]
HITS, VOTES, DEPTH = (1, 3, 5, 10), (1, 3, 5), 10
MOST_COMMON = "most common label"
MAP = f"mAP@{DEPTH} (of min({DEPTH}, relevant))"
_CHUNK, _N_RANDOM = 1_024, 20


@dataclass(frozen=True, slots=True)
class Neighbourhoods:
    """Labels of the nearest answers of each query, every patient's queries answered by the other patients.

    Attributes
    ----------
    top : int64 (n, depth)
        Codes of the labels, nearest first; -1 where the gallery is smaller.
    true : int64 (n,)
        Code of each query's own label.
    n_relevant : int64 (n,)
        Answers in its gallery that bear it.
    patients : str (n,)
        Patient of each query.
    n_gallery : int
        Mean size of the galleries.
    """

    top: Rows
    true: Rows
    n_relevant: Rows
    patients: Labels
    n_gallery: int


def nearest_labels(
    similarity: Similarity, codes: Rows, patients: Labels, asked: Mask, *, depth: int = DEPTH
) -> Neighbourhoods:
    """Find the nearest items of other patients for each query, ties in row order.

    Parameters
    ----------
    similarity : callable
        See `Similarity`.
    codes, patients : int64, str (n,)
        Label and patient of every labelled item.
    asked : bool (n,)
        The queries; all items answer.

    Raises
    ------
    QueryError
        If there are no queries, fewer than two patients, or a similarity is not finite.
    """
    if len(np.unique(patients)) < 2 or not asked.any():
        raise QueryError(
            f"Labels of {len(np.unique(patients))} patient(s) with {int(asked.sum())} queries; leaving one patient out "
            "needs labelled items of at least two patients. Ingest another labelled slide."
        )
    tops, order, relevant, sizes = [], [], [], []
    for patient in dict.fromkeys(patients[asked].tolist()):
        queries, gallery = np.flatnonzero(asked & (patients == patient)), np.flatnonzero(patients != patient)
        counts = np.bincount(codes[gallery], minlength=codes.max() + 1)
        for start in range(0, len(queries), _CHUNK):
            part = queries[start : start + _CHUNK]
            tops.append(_top(np.asarray(similarity(part, gallery)), codes[gallery], depth))
            order.append(part)
            relevant.append(counts[codes[part]])
            sizes += [len(gallery)] * len(part)
    rows = np.concatenate(order)
    return Neighbourhoods(
        np.concatenate(tops), codes[rows], np.concatenate(relevant), patients[rows], round(float(np.mean(sizes)))
    )


def joined(folds: Sequence[Neighbourhoods]) -> Neighbourhoods:
    """Several folds as one, such as patients that were each answered in a space of their own."""
    sizes = [[fold.n_gallery] * len(fold.true) for fold in folds]
    return Neighbourhoods(
        top=np.concatenate([fold.top for fold in folds]),
        true=np.concatenate([fold.true for fold in folds]),
        n_relevant=np.concatenate([fold.n_relevant for fold in folds]),
        patients=np.concatenate([fold.patients for fold in folds]),
        n_gallery=round(float(np.mean(np.concatenate(sizes)))),
    )


def random_labels(codes: Rows, patients: Labels, asked: Mask, *, seed: int = 0) -> list[Neighbourhoods]:
    """`nearest_labels` among neighbours drawn at random, several times over."""
    rng = np.random.default_rng(seed)
    return [nearest_labels(lambda a, b: rng.random((len(a), len(b))), codes, patients, asked) for _ in range(_N_RANDOM)]


def commonest_label(codes: Rows, patients: Labels, asked: Mask) -> Neighbourhoods:
    """`nearest_labels` where every answer bears the label that most items of the other patients bear."""

    def similarity(_: Rows, gallery: Rows) -> Doubles:
        commonest = np.bincount(codes[gallery]).argmax()
        return np.asarray(codes[gallery] == commonest, dtype=np.float64)[None].repeat(len(_), axis=0)

    return nearest_labels(similarity, codes, patients, asked)


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


def _top(scores: npt.NDArray[np.floating], codes: Rows, depth: int) -> Rows:
    if not np.isfinite(scores).all():
        raise QueryError(
            "A similarity to a labelled item is not finite (NaN or infinite values); ingest its slide again."
        )
    order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    top = np.full((len(scores), depth), -1, dtype=np.int64)
    top[:, : order.shape[1]] = codes[order]
    return top
