"""The expression view of the alignment: which genes, in which units, along which principal axes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from encoders.alignment import Matrix, principal_axes
from encoders.errors import TrainingError
from encoders.profiles import OUTSIDE, Profiles


@dataclass(frozen=True, slots=True)
class ExpressionBasis:
    """Chosen genes and principal axes of their standardised log-expression.

    Attributes
    ----------
    genes : tuple of str
        Most variable first.
    mean, sd : float64 (n_genes,)
        Mean of the sections' means, and root of the mean within-section variance, of log-expression.
    axes : float64 (n_genes, n_components)
        Principal axes of rows centred by section and divided by `sd`.
    """

    genes: tuple[str, ...]
    mean: Matrix
    sd: Matrix
    axes: Matrix

    def standardise(self, profiles: Profiles) -> Matrix:
        """Rows of one section: centred on its own mean, in units of `sd`, `(n, n_genes)`."""
        return _centred(profiles.log_normalised(), profiles.genes, self.genes) / self.sd


def fit_basis(sections: Sequence[Profiles], *, n_genes: int, n_components: int, min_detected: float) -> ExpressionBasis:
    """Choose genes by their mean variance within sections and find the principal axes of all sections together.

    Parameters
    ----------
    sections : sequence of Profiles
        Only genes that all of them have are considered.
    n_genes : int
        Genes to keep, fewer if fewer vary.
    n_components : int
        Principal axes to keep.
    min_detected : float
        A gene must have counts in more than this share of spots, averaged over sections.

    Raises
    ------
    TrainingError
        If the sections share no gene, no shared gene varies, or there are fewer genes or spots than components.
    """
    shared = _shared_genes(sections)
    logs = [_columns(section.log_normalised(), section.genes, shared) for section in sections]
    variance = np.mean([_variance(log) for log in logs], axis=0)
    detected = np.mean([np.asarray((log > 0).mean(axis=0)).ravel() for log in logs], axis=0)
    score = np.where(detected > min_detected, variance, 0.0)
    chosen = np.argsort(-score, kind="stable")[:n_genes]
    chosen = chosen[score[chosen] > 0]
    n_spots = sum(log.shape[0] for log in logs)
    if len(chosen) == 0:
        raise TrainingError(
            f"None of the {len(shared)} shared genes varies within sections and is detected in more than "
            f"{min_detected:.0%} of spots; give sections with varying genes."
        )
    if min(len(chosen), n_spots) < n_components:
        raise TrainingError(
            f"{len(chosen)} genes in {n_spots} spots cannot give {n_components} expression components; give more "
            f"spots or ask for fewer components."
        )
    sd = np.sqrt(variance[chosen])
    rows = np.concatenate([_dense_centred(log[:, chosen]) / sd for log in logs])
    mean = np.mean([np.asarray(log[:, chosen].mean(axis=0)).ravel() for log in logs], axis=0)
    return ExpressionBasis(tuple(shared[i] for i in chosen), mean, sd, principal_axes(rows, n_components))


def rank_curve(sections: Sequence[Profiles], *, n_ranks: int) -> Matrix:
    """Mean log-expression of the first, second, ... gene of a spot, each section counting the same, `(n_ranks,)`."""
    curves = np.zeros((len(sections), n_ranks))
    for curve, section in zip(curves, sections, strict=True):
        log = section.log_normalised()
        for start, stop in zip(log.indptr[:-1], log.indptr[1:], strict=True):
            top = np.sort(log.data[start:stop])[::-1][:n_ranks]
            curve[: len(top)] += top / log.shape[0]
    return np.asarray(curves.mean(axis=0))


def _shared_genes(sections: Sequence[Profiles]) -> tuple[str, ...]:
    shared = set(sections[0].genes).intersection(*(section.genes for section in sections[1:])) - {OUTSIDE}
    if not shared:
        raise TrainingError(
            f"The {len(sections)} sections share no gene; give all of them the same kind of identifier (symbols)."
        )
    return tuple(sorted(shared))


def _columns(log: sp.csr_matrix, have: Sequence[str], want: Sequence[str]) -> sp.csc_matrix:
    column = {symbol: i for i, symbol in enumerate(have)}
    return sp.csc_matrix(log)[:, [column[symbol] for symbol in want]]


def _centred(log: sp.csr_matrix, have: Sequence[str], want: Sequence[str]) -> Matrix:
    return _dense_centred(_columns(log, have, want))


def _dense_centred(log: sp.csc_matrix) -> Matrix:
    dense = np.asarray(log.toarray(), dtype=np.float64)
    return np.asarray(dense - dense.mean(axis=0))


def _variance(log: sp.csc_matrix) -> Matrix:
    mean = np.asarray(log.mean(axis=0)).ravel()
    # Rounding must not make a constant gene vary.
    variance = np.asarray(log.multiply(log).mean(axis=0)).ravel() - mean**2
    return np.where(variance > 1e-12, variance, 0.0)
