"""Where in a space a single gene points: what makes a list of two genes a query, and reaches rarely counted genes."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from encoders.alignment import Matrix
from encoders.profiles import OUTSIDE, Profiles

_PEERS = 801  # genes as often detected, the gene itself included
_BACKGROUND = 2 * _PEERS  # a panel smaller than this was chosen: its genes have no background


def gene_directions(
    sections: Sequence[Profiles], place: Callable[[Profiles], Matrix], *, min_detected: float
) -> tuple[tuple[str, ...], Matrix]:
    """Shift of a spot's place in the space for one standard deviation of each gene.

    This is the slope of the least-squares line of the place on the gene's log-expression, both centred by section, with
    every section counting the same. A profile that is average but for one gene does not exist in tissue: genes move
    together, and the slope says where spots that have the gene high really lie. It is defined for genes that are too
    rare to be among the variable genes of the projection.

    Rare genes share a part of that slope: whether one is counted at all depends on how deeply a spot was sequenced. It
    would outweigh the rest in a list of several genes, so a share of the mean slope of the 801 genes nearest in
    detection is taken off: the square of the share of spots without the gene, since genes found nearly everywhere share
    biology instead. Sections with too few genes for such a background keep the plain slopes.

    Parameters
    ----------
    sections : sequence of Profiles
        Training sections.
    place : callable
        Position of a section's spots before scaling to unit length, `(n, dim)`, centred by section.
    min_detected : float
        Genes with counts in no more than this share of spots, averaged over the sections, are left out.

    Returns
    -------
    tuple of str
        Symbols, sorted.
    float64 (n_genes, dim)
        Their shifts.
    """
    symbols = sorted(set().union(*(section.genes for section in sections)))
    number = {symbol: i for i, symbol in enumerate(symbols)}
    detected, variance = np.zeros(len(symbols)), np.zeros(len(symbols))
    covariance: Matrix | None = None
    for section in sections:
        # A section whose file lacks a gene has no count of it: tables leave such columns out.
        at = [number[symbol] for symbol in section.genes]
        log = section.log_normalised()
        weight = 1.0 / (log.shape[0] * len(sections))
        mean = np.asarray(log.mean(axis=0)).ravel()
        detected[at] += log.getnnz(axis=0) * weight
        variance[at] += np.asarray(log.multiply(log).sum(axis=0)).ravel() * weight - mean**2 / len(sections)
        places = place(section)
        covariance = np.zeros((len(symbols), places.shape[1])) if covariance is None else covariance
        # The place is centred by section, so the gene's own mean drops out of the product.
        covariance[at] += np.asarray(log.T @ places) * weight
    is_gene = np.array([symbol != OUTSIDE for symbol in symbols])
    kept = np.flatnonzero((detected > min_detected) & (variance > 1e-12) & is_gene)
    slopes = np.asarray(covariance)[kept] / np.sqrt(variance[kept])[:, None]
    if len(kept) >= _BACKGROUND:
        rarity = 1.0 - np.clip(detected[kept], 0.0, 1.0)
        slopes -= rarity[:, None] ** 2 * _mean_of_peers(slopes, detected[kept])
    return tuple(symbols[i] for i in kept), slopes


def _mean_of_peers(slopes: Matrix, detected: npt.NDArray[np.float64]) -> Matrix:
    """Mean row of the genes nearest in detection, `(n_genes, dim)`; at the ends those of the first or last window."""
    order = np.argsort(detected, kind="stable")
    sums = np.concatenate([np.zeros((1, slopes.shape[1])), np.cumsum(slopes[order], axis=0)])
    start = np.clip(np.arange(len(order)) - _PEERS // 2, 0, len(order) - _PEERS)
    means = np.empty_like(slopes)
    means[order] = (sums[start + _PEERS] - sums[start]) / _PEERS
    return means
