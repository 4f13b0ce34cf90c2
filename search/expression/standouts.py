"""Genes that stand out in an item against the slides of its index, to be shown where there is no picture."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from search.catalogue import Catalogue, Rows
from search.profiles import PER, Doubles, has_counts, per_10k

_STABILISER = 3 / 8  # Anscombe 1948
_FEWEST = 2  # a single count of a rare gene is chance


@dataclass(frozen=True, slots=True)
class StandoutGene:
    """A gene of an item with more counts than its mean share over the slides of the index leads to expect.

    Attributes
    ----------
    symbol : str
        The gene.
    fold : float
        Counted over expected.
    excess : float
        Square root of the counted less that of the expected; what the genes are ordered by.
    """

    symbol: str
    fold: float
    excess: float


def mean_share(catalogue: Catalogue) -> Doubles:
    """Mean share of each gene in the counts of a slide, over all slides with counts, float64 `(n_panel,)`."""
    rows = np.flatnonzero(has_counts(catalogue) & (catalogue.column("kind") == "slide"))
    if not len(rows):
        return np.zeros(len(catalogue.index.genes))
    return np.asarray(per_10k(catalogue, rows).mean(axis=0), dtype=np.float64).ravel() / PER


def standout_genes(catalogue: Catalogue, rows: Rows, share: Doubles, n: int) -> list[tuple[StandoutGene, ...]]:
    """Genes counted in an item further above what its slides lead to expect than others, the furthest first.

    Ordered by the difference of the square roots of counted and expected, which makes one count more of a rare gene
    weigh less than many of a common one (Anscombe, Biometrika 1948).

    Parameters
    ----------
    catalogue : Catalogue
        Items of the index.
    rows : int64 (m,)
        The items.
    share : float64 (n_panel,)
        Share of each gene to be expected, from `mean_share`.
    n : int
        Genes for each item; fewer where fewer have two counts and are above what is expected.
    """
    counts = catalogue.index.expression(rows)
    totals = np.nan_to_num(catalogue.column("total_counts")[rows].astype(np.float64))
    return [_of_item(catalogue, counts[place], totals[place] * share, n) for place in range(len(rows))]


def _of_item(catalogue: Catalogue, counts: sp.csr_matrix, expected: Doubles, n: int) -> tuple[StandoutGene, ...]:
    columns = counts.indices
    found, wanted = counts.data.astype(np.float64), expected[columns]
    excess = np.sqrt(found + _STABILISER) - np.sqrt(wanted + _STABILISER)
    above = (excess > 0) & (wanted > 0) & (found >= _FEWEST)
    order = [place for place in np.lexsort((columns, -excess)) if above[place]][:n]
    symbols = catalogue.index.genes
    return tuple(
        StandoutGene(symbols[columns[place]], float(found[place] / wanted[place]), float(excess[place]))
        for place in order
    )
