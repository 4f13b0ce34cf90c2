"""Nearest labelled items of other patients: by any similarity, at random, or by habit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.errors import QueryError
from search.quality.quality_figures import Doubles

Labels = npt.NDArray[np.str_]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
#: Similarity of some rows (first) with others (second), float `(n_first, n_second)`.
Similarity = Callable[[Rows, Rows], npt.NDArray[np.floating]]
#: Neighbours that are looked at.
DEPTH = 10
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


def _top(scores: npt.NDArray[np.floating], codes: Rows, depth: int) -> Rows:
    if not np.isfinite(scores).all():
        raise QueryError(
            "A similarity to a labelled item is not finite (NaN or infinite values); ingest its slide again."
        )
    order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    top = np.full((len(scores), depth), -1, dtype=np.int64)
    top[:, : order.shape[1]] = codes[order]
    return top
