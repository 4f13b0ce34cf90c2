"""Weighted means over neighbours, for many queries at once: the same numbers as one by one, by matrix products."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors
from search.catalogue import Catalogue, Mask, Rows
from search.errors import QueryError
from search.expression.weighting import Weighting
from search.item_rows import vectors_of
from search.profiles import log_per_10k

#: Galleries up to so many items are compared with every query; of larger ones the index finds the nearest.
MOST_AT_ONCE = 50_000
_PRODUCTS = 8_000_000  # cosines held at a time
_QUERIES = 256  # at a time, where each has neighbours of its own to be read


@dataclass(frozen=True, slots=True)
class Moments:
    """Predicted values of many queries.

    Attributes
    ----------
    mean, sd : float32 (n_queries, n_genes)
        Weighted mean and spread over the neighbours; the spread is NaN where weights are negative, both where there are
        none to divide by.
    n_neighbours : int
        Items averaged, at most.
    n_effective : float32 (n_queries,)
        `1 / sum w^2`.
    """

    mean: Floats
    sd: Floats
    n_neighbours: int
    n_effective: Floats


@dataclass(frozen=True, slots=True)
class Gallery:
    """Items that are averaged: rows, unit vectors `(n, dim)` and log-expression `(n, n_genes)`, all float32."""

    rows: Rows
    vectors: Vectors
    values: Floats

    def but(self, kept: Mask) -> "Gallery":
        """Those that a mask over them keeps."""
        return Gallery(self.rows[kept], self.vectors[kept], self.values[kept])


def gallery_of(catalogue: Catalogue, rows: Rows, columns: Rows) -> Gallery:
    """Read the expression vectors and profiles of some items over some genes of the panel."""
    return Gallery(rows, vectors_of(catalogue, rows, "expression"), profiles_of(catalogue, rows, columns))


def profiles_of(catalogue: Catalogue, rows: Rows, columns: Rows) -> Floats:
    """Log-expression of some items over some genes of the panel, float32 `(n, n_genes)`."""
    values: Floats = log_per_10k(catalogue, rows, columns).toarray()
    return values


def averaged(vectors: Vectors, gallery: Gallery, weighting: Weighting) -> Moments:
    """Average a gallery for each of some unit queries `(n, dim)`.

    Items tied with the last neighbour are all averaged, so that no order among equals decides.

    Raises
    ------
    QueryError
        If the gallery is empty.
    """
    if not len(gallery.rows):
        raise QueryError("No item with counts is left to predict from; loosen the filter or the exclusion.")
    centre = gallery.values.mean(axis=0, dtype=np.float64).astype(np.float32)  # squares stay small
    values = gallery.values - centre
    both = np.hstack([values, values**2])
    mean, sd = (np.empty((len(vectors), values.shape[1]), dtype=np.float32) for _ in range(2))
    n_effective, most = np.empty(len(vectors), dtype=np.float32), 0
    step = max(1, _PRODUCTS // len(gallery.rows))
    for start in range(0, len(vectors), step):
        part = slice(start, start + step)
        weights = weighting.of_many(vectors[part] @ gallery.vectors.T)
        mean[part], square = np.split(weights @ both, 2, axis=1)
        sd[part] = np.sqrt(np.maximum(square - mean[part] ** 2, 0.0))
        sd[part][(weights < 0).any(axis=1)] = np.nan
        n_effective[part] = 1.0 / np.einsum("ij,ij->i", weights, weights)
        most = max(most, int((weights != 0).sum(axis=1).max()))
    return Moments(mean + centre, sd, most, n_effective)


def averaged_of_index(
    catalogue: Catalogue, vectors: Vectors, allowed: Mask, columns: Rows, weighting: Weighting
) -> Moments:
    """Average the items of an index that a mask allows, however many there are; see `averaged`.

    Raises
    ------
    QueryError
        As there, or if mode `raw`, which averages all items, is asked of too many.
    """
    rows = np.flatnonzero(allowed)
    if len(rows) <= MOST_AT_ONCE:
        return averaged(vectors, gallery_of(catalogue, rows, columns), weighting)
    if weighting.mode == "raw":
        raise QueryError("Mode 'raw' averages over all items, which this index is too large for; use 'softmax'.")
    parts = list(_by_neighbours(catalogue, vectors, allowed, columns, weighting))
    mean, sd, n_effective = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("mean", "sd", "n_effective")
    )
    return Moments(mean, sd, max(part.n_neighbours for part in parts), n_effective)


def _by_neighbours(
    catalogue: Catalogue, vectors: Vectors, allowed: Mask, columns: Rows, weighting: Weighting
) -> Iterator[Moments]:
    known = catalogue.index.vectors("expression")
    selection = known.select(allowed)
    for start in range(0, len(vectors), _QUERIES):
        asked = vectors[start : start + _QUERIES]
        near = known.search(asked, weighting.n_wanted, selection)
        used: npt.NDArray[np.int64] = np.unique(near.rows[near.rows >= 0])
        yield averaged(asked, gallery_of(catalogue, used, columns), weighting)
