"""Places of a slide by what their vectors are near to, and by one mapping of types onto all of them."""

import numpy as np

from encoders.contracts import Modality
from search.catalogue import Catalogue, Rows
from search.cells.cell_vectors import CellVectors
from search.cells.manner import Manner, Source
from search.cells.slide_composition import TypeShares, summed_shares
from search.cells.spread import N_SAMPLES
from search.cells.tangram import Floating, tangram_mapping, tangram_shares
from search.cells.votes import votes_of
from search.errors import QueryError
from search.item_rows import vectors_of
from search.profiles import Doubles

_FEWEST = 2


def side_for_cells(catalogue: Catalogue, rows: Rows, source: Source) -> Modality:
    """The side of places that is compared with cells: expression where there is some, unless hits are asked for."""
    sides: tuple[Modality, Modality] = ("expression", "image")
    wanted = sides[::-1] if source == "hits" else sides if source == "auto" else sides[:1]
    for side in wanted:
        if catalogue.has(side)[rows].any():
            return side
    raise QueryError(f"None of the places has an {wanted[0]} vector to compare with cells.")


def voted_shares(catalogue: Catalogue, rows: Rows, side: Modality, cells: CellVectors) -> tuple[TypeShares, ...]:
    """Shares by vote, and summed to coarser types where there are some."""
    votes = votes_of(vectors_of(catalogue, rows, side), cells, n_samples=N_SAMPLES)
    fine = TypeShares(cells.types, votes.shares, votes.samples.std(axis=0))
    return (fine, summed_shares(cells.parents, votes.samples, votes.shares)) if cells.parents else (fine,)


def mapped_shares(
    types: tuple[str, ...], clusters: Floating, places: Floating, n_cells: Doubles, manner: Manner
) -> TypeShares:
    """Shares from one mapping of clusters onto places; it has no spread, so `sd` is NaN.

    Raises
    ------
    QueryError
        If there are fewer than two places, or no feature that both sides have.
    """
    if len(places) < _FEWEST:
        raise QueryError(f"Method 'tangram' maps types onto places, and here is {len(places)}; ask for a whole slide.")
    used = clusters.any(axis=0) & places.any(axis=0)
    if not used.any():
        raise QueryError("No feature of the types is above 0 at any place, so nothing can be mapped.")
    density = n_cells / n_cells.sum() if n_cells.any() else np.full(len(types), 1.0 / len(types))
    mapping = tangram_mapping(clusters[:, used], places[:, used], density)
    shares = tangram_shares(mapping, nms=manner.nms)
    return TypeShares(types, shares, np.full(shares.shape, np.nan))
