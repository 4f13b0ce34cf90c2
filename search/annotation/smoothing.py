"""Scores averaged over neighbouring tiles or spots."""

import numpy as np

from search.catalogue import Catalogue, Rows
from search.profiles import Doubles

_REACH = 1.5  # distances between neighbours: the eight around a tile of a grid, the six around a spot of a honeycomb


def smoothed(catalogue: Catalogue, rows: Rows, scores: Doubles) -> Doubles:
    """Mean of each item's scores and those of the items of its slide within 1.5 distances between neighbours.

    Parameters
    ----------
    rows : int64 (n,)
        Items of any slides; those without a position keep their own scores.
    scores : float64 (n, n_classes)
    """
    found = scores.copy()
    slides = catalogue.codes("slide")[0][rows]
    xy = places_of(catalogue, rows)
    placed = np.isfinite(xy).all(axis=1)
    for slide in np.unique(slides):
        own = np.flatnonzero((slides == slide) & placed)
        if len(own) > 1:
            found[own] = _neighbour_means(xy[own], scores[own])
    return found


def places_of(catalogue: Catalogue, rows: Rows) -> Doubles:
    """Centres in level-0 pixels, float64 `(n, 2)`; NaN where there are none."""
    return np.column_stack([catalogue.column(name)[rows] for name in ("x_px", "y_px")]).astype(np.float64)


def pitch_of(xy_px: Doubles) -> float:
    """Median distance of a place from the nearest other, level-0 pixels; raises `ValueError` for fewer than two."""
    from scipy.spatial import cKDTree

    if len(xy_px) < 2:
        raise ValueError("The distance between neighbours needs two places.")
    distances, _ = cKDTree(xy_px).query(xy_px, k=2)
    return float(np.median(distances[:, 1]))


def _neighbour_means(xy_px: Doubles, scores: Doubles) -> Doubles:
    import scipy.sparse as sp
    from scipy.spatial import cKDTree

    tree = cKDTree(xy_px)
    pairs = tree.query_pairs(_REACH * pitch_of(xy_px), output_type="ndarray")
    n = len(xy_px)
    near = sp.coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n)).tocsr()
    near = near + near.T + sp.identity(n, format="csr")
    means: Doubles = np.asarray(near @ scores) / np.asarray(near.sum(axis=1))
    return means
