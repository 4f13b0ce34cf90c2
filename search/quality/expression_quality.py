"""How well expression is predicted from pictures: the HEST-Benchmark recipe, and the mean of retrieved profiles.

Jaume et al., "HEST-1k", NeurIPS 2024: log1p of raw counts, StandardScaler, PCA to 256, ridge with
alpha = 100 / (n_features * n_genes) and no intercept, mean over genes of Pearson's r over spots.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from search.errors import NothingToMeasureError, QueryError
from search.expression.ridge import fit_ridge
from search.expression.weighting import PREDICTION_K, Mode, weights_of
from search.quality.quality_figures import N_DRAWS, Doubles, SectionFigures

N_GENES = 50
PEARSON = f"mean Pearson over {N_GENES} genes"
UNDEFINED = "undefined: the mean expression is the same for every spot, and a constant correlates with nothing"
_MIN_DETECTED = 0.1
_MIN_SPOTS = 3


@dataclass(frozen=True, slots=True)
class Target:
    """Measured expression of one test section.

    Attributes
    ----------
    values : float64 (n, n_genes)
        log1p of raw counts.
    """

    slide: str
    patient: str
    values: Doubles
    trained_on: bool = False


def most_variable(log_counts: sp.csr_matrix, n_genes: int = N_GENES) -> npt.NDArray[np.int64]:
    """Columns with the highest variance of log1p counts among genes that a tenth of the spots have, ascending.

    Raises
    ------
    NothingToMeasureError
        If fewer genes vary; such expression cannot be told apart.
    """
    detected = np.asarray((log_counts > 0).mean(axis=0)).ravel() >= _MIN_DETECTED
    mean = np.asarray(log_counts.mean(axis=0)).ravel()
    variance = np.asarray(log_counts.multiply(log_counts).mean(axis=0)).ravel() - mean**2
    usable = detected & (variance > 0)
    if usable.sum() < n_genes:
        raise NothingToMeasureError(
            f"Prediction was not measured: {int(usable.sum())} genes vary and are detected in a tenth of the training "
            f"spots, and the test takes {n_genes}. Ingest slides with more genes."
        )
    order = np.argsort(np.where(usable, -variance, np.inf), kind="stable")[:n_genes]
    return np.sort(order)


def hest_ridge(features: Doubles, expression: Doubles) -> Callable[[Doubles], Doubles]:
    """Fit the HEST-Benchmark regression and return the function that predicts.

    Parameters
    ----------
    features : float (n, n_features)
        Of the training spots.
    expression : float (n, n_genes)
        log1p counts of the same spots.

    Raises
    ------
    QueryError
        If a value is not finite, or there are fewer than three spots.
    """
    X, Y = np.asarray(features, dtype=np.float64), np.asarray(expression, dtype=np.float64)
    if len(X) < _MIN_SPOTS or len(X) != len(Y) or not (np.isfinite(X).all() and np.isfinite(Y).all()):
        raise QueryError(
            f"Cannot fit on features {X.shape} and expression {Y.shape}; expected the same spots on both sides, at "
            f"least {_MIN_SPOTS}, all values finite."
        )
    fitted = fit_ridge(X, Y, alpha_genes=Y.shape[1])

    def predict(test: Doubles) -> Doubles:
        return fitted.predict(test) - fitted.intercept  # the recipe has none

    return predict


def retrieved(scores: npt.NDArray[np.floating], expression: Doubles, mode: Mode) -> Doubles:
    """Mean expression of the best answers of each query, weighted as `Engine.predict_expression` does.

    `raw` is measured as it was published: where cosines sum to less than nothing, which the engine refuses, it turns
    the answer over.

    Parameters
    ----------
    scores : float (n, n_gallery)
        Cosines.
    expression : float64 (n_gallery, n_genes)
        log1p counts of the gallery.
    """
    if mode == "raw":
        S = scores.astype(np.float64)
        return np.asarray(S @ expression / S.sum(axis=1, keepdims=True))
    predicted = np.empty((len(scores), expression.shape[1]))
    for row, cosines in enumerate(scores):
        order = np.argsort(-cosines, kind="stable")
        weights = weights_of(cosines[order].astype(np.float64), PREDICTION_K, mode)
        predicted[row] = weights @ expression[order[: len(weights)]]
    return predicted


def pearson_by_gene(predicted: Doubles, measured: Doubles) -> Doubles:
    """Pearson's r of each column over rows, float64 `(n_genes,)`; NaN where either side is constant."""
    p, m = predicted - predicted.mean(axis=0), measured - measured.mean(axis=0)
    p_norm, m_norm = np.sqrt((p**2).sum(axis=0)), np.sqrt((m**2).sum(axis=0))
    # A mean of equal numbers may miss them by a rounding error.
    flat = (p_norm <= 1e-9 * (1 + np.abs(predicted).max(axis=0))) | (
        m_norm <= 1e-9 * (1 + np.abs(measured).max(axis=0))
    )
    r: Doubles = np.where(flat, np.nan, (p * m).sum(axis=0) / np.where(flat, 1.0, p_norm * m_norm))
    return r


def prediction_figures(predicted: Doubles, target: Target, n_gallery: int, *, seed: int = 0) -> SectionFigures:
    """Mean Pearson of a prediction over its genes, with resamples over spots; constant genes are dropped and counted.

    Raises
    ------
    QueryError
        If the prediction does not fit the target, or holds values that are not finite.
    """
    if predicted.shape != target.values.shape or not np.isfinite(predicted).all():
        raise QueryError(
            f"The prediction for section {target.slide} has shape {predicted.shape} and must be finite; expected "
            f"{target.values.shape}, one value a spot and gene."
        )
    by_gene = pearson_by_gene(predicted, target.values)
    n_flat = int(np.isnan(by_gene).sum())
    rng, n = np.random.default_rng(seed), len(predicted)
    drawn = np.empty((0, 1))
    if n_flat < len(by_gene):
        rows = [rng.integers(n, size=n) for _ in range(N_DRAWS)]
        drawn = np.array([[_mean_r(pearson_by_gene(predicted[r], target.values[r]))] for r in rows])
    note = UNDEFINED if n_flat == len(by_gene) else f"{n_flat} constant genes dropped" if n_flat else ""
    return SectionFigures(
        slide=target.slide,
        patient=target.patient,
        trained_on=target.trained_on,
        values={PEARSON: _mean_r(by_gene)},
        drawn=drawn,
        n_queries=n,
        n_gallery=n_gallery,
        note=note,
    )


def stacked(sections: Sequence[sp.csr_matrix]) -> sp.csr_matrix:
    """log1p of raw counts of several sections, csr float64."""
    values = sp.csr_matrix(sp.vstack(sections), dtype=np.float64)
    values.data = np.log1p(values.data)
    return values


def _mean_r(by_gene: Doubles) -> float:
    known = by_gene[np.isfinite(by_gene)]
    return float(known.mean()) if len(known) else float("nan")
