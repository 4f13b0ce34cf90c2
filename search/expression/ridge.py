"""Expression regressed on image vectors: PCA to 256, then ridge, as the HEST-Benchmark does.

Jaume et al., "HEST-1k", NeurIPS 2024: StandardScaler, PCA to 256 components, ridge with
`alpha = 100 / (n_components * n_genes)`. Fitted by products with the (sparse) profiles, so that a whole panel of genes
takes no more memory than its counts.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from encoders.contracts import Floats
from search.catalogue import Catalogue
from search.errors import QueryError
from search.item_rows import vectors_of
from search.profiles import Doubles, has_counts, log_per_10k

N_COMPONENTS = 256
ALPHA = 100.0
_ALPHA_GENES = 50  # of the benchmark; the penalty of a mode must not depend on which genes are asked for
_MIN_SPOTS = 3
_MOST_SPOTS = 20_000  # spots fitted on, evenly taken of more


@dataclass(frozen=True, slots=True)
class Ridge:
    """A fitted regression.

    Attributes
    ----------
    mean, scale : float64 (n_features,)
        What standardises features.
    weights : float64 (n_features, n_genes)
        Of standardised features.
    intercept, sd : float64 (n_genes,)
        Mean of each gene over the spots, and root mean square of what was left unexplained.
    n_spots, n_patients : int
        What it was fitted on.
    """

    mean: Doubles
    scale: Doubles
    weights: Doubles
    intercept: Doubles
    sd: Doubles
    n_spots: int
    n_patients: int = 0

    def said(self) -> str:
        """What it was fitted on."""
        patients = f"{self.n_patients} other patient{'' if self.n_patients == 1 else 's'}"
        return f"Fitted on {self.n_spots:,} spots of {patients}; sd is what that leaves unexplained."

    def predict(self, features: Floats | Doubles, genes: npt.NDArray[np.int64] | slice = slice(None)) -> Doubles:
        """Predicted values of some genes, float64 `(n, n_genes)`, of features `(n, n_features)`."""
        standard = (np.asarray(features, dtype=np.float64) - self.mean) * self.scale
        return np.asarray(standard @ self.weights[:, genes] + self.intercept[genes])


def fit_ridge(
    features: Floats | Doubles, expression: sp.csr_matrix | Doubles, *, alpha_genes: int = _ALPHA_GENES
) -> Ridge:
    """Fit the regression.

    Parameters
    ----------
    features : float (n, n_features)
        Of the training spots.
    expression : csr or float (n, n_genes)
        Of the same spots.
    alpha_genes : int
        Number of genes in the formula of alpha.
    """
    X = np.asarray(features, dtype=np.float64)
    n = len(X)
    mean, spread = X.mean(axis=0), X.std(axis=0)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    Z = (X - mean) * scale
    axes = np.linalg.svd(Z, full_matrices=False)[2][: min(N_COMPONENTS, n - 1)].T
    scores = Z @ axes
    gram = scores.T @ scores
    products = np.asarray((expression.T @ scores).T)
    alpha = ALPHA / (scores.shape[1] * alpha_genes)
    weights = np.linalg.solve(gram + alpha * np.eye(len(gram)), products)
    intercept = np.asarray(expression.mean(axis=0)).ravel()
    squares = expression.multiply(expression) if isinstance(expression, sp.csr_matrix) else np.square(expression)
    variance = np.asarray(squares.mean(axis=0)).ravel() - intercept**2
    explained = 2 * (weights * products).sum(axis=0) - (weights * (gram @ weights)).sum(axis=0)
    sd = np.sqrt(np.maximum(variance - explained / n, 0.0))
    return Ridge(mean, scale, axes @ weights, intercept, sd, n)


def ridge_of_others(catalogue: Catalogue, without: tuple[str, ...]) -> Ridge:
    """Fit the whole panel on the spots with picture and counts of all patients but some.

    Raises
    ------
    QueryError
        If they have fewer than three such spots.
    """
    patient = catalogue.column("patient").astype(str)
    usable = catalogue.has("image") & has_counts(catalogue) & (catalogue.column("kind") != "slide")
    rows = np.flatnonzero(usable & ~np.isin(patient, without))
    if len(rows) < _MIN_SPOTS:
        raise QueryError(
            f"Mode 'ridge' is fitted on spots with picture and counts of other patients than "
            f"{', '.join(without) or 'the one asked about'}: this index has {len(rows)}. Use 'softmax', or add pairs."
        )
    rows = rows if len(rows) <= _MOST_SPOTS else rows[np.linspace(0, len(rows) - 1, _MOST_SPOTS).astype(np.int64)]
    found = fit_ridge(vectors_of(catalogue, rows, "image"), log_per_10k(catalogue, rows).astype(np.float64))
    return Ridge(
        found.mean, found.scale, found.weights, found.intercept, found.sd, len(rows), len(np.unique(patient[rows]))
    )
