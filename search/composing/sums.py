"""Weighted sums of queries, also of pictures and genes, whose vectors may lie apart and be spread differently."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from encoders.contracts import Modality, Vectors, unit_rows
from search.catalogue import Catalogue
from search.encoding import EncodedQuery
from search.errors import QueryError
from search.profiles import Doubles

_LOOKED_AT = 4_096  # vectors of each side that its mean and spread are taken from
_CANCELLED = 1e-6


class Part(NamedTuple):
    """One query and its weight in a sum."""

    encoded: EncodedQuery
    weight: float


def summed(parts: Sequence[Part], catalogue: Catalogue) -> tuple[Vectors, tuple[str, ...]]:
    """Unit vector float32 `(dim,)` of the weighted sum of the parts, and what was done to them, in words.

    Of parts of one side the unit vectors are added as they are. In spaces trained by contrast, pictures and
    expression lie in two narrow cones apart from each other (Liang et al., Mind the gap, NeurIPS 2022), and one side
    may be spread wider than the other: so parts of both sides are first taken from the mean of their side, scaled to
    length 1, and divided by the standard deviation of their scores over the index.

    Raises
    ------
    QueryError
        If the parts cancel.
    """
    weights = np.array([part.weight for part in parts])
    vectors = np.stack([part.encoded.vector for part in parts]).astype(np.float64)
    sides = [part.encoded.modality for part in parts]
    notes: tuple[str, ...] = ()
    if len(set(sides)) > 1:
        vectors = _standardised(vectors, sides, catalogue)
        notes = ("Picture and expression were each centred on their side and brought to the same spread of scores.",)
    total = weights @ vectors
    if np.linalg.norm(total) <= _CANCELLED * np.abs(weights).sum():
        raise QueryError("The parts of the query cancel each other; change the weights, or leave one out.")
    return unit_rows(total[None].astype(np.float32))[0], notes


def _standardised(vectors: Doubles, sides: Sequence[Modality], catalogue: Catalogue) -> Doubles:
    looked_at = {side: _some_vectors(catalogue, side) for side in ("image", "expression")}
    means = {
        side: found.mean(axis=0) if len(found) else np.zeros(vectors.shape[1]) for side, found in looked_at.items()
    }
    centred = vectors - np.stack([means[side] for side in sides])
    directions = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    variances = [((found - means[side]) @ directions.T).var(axis=0) for side, found in looked_at.items() if len(found)]
    spread = np.sqrt(np.mean(variances, axis=0)) if variances else np.ones(len(vectors))
    return np.asarray(directions / np.maximum(spread, 1e-6)[:, None])


def _some_vectors(catalogue: Catalogue, side: Modality) -> Doubles:
    """Vectors evenly over the index, float64 `(m, dim)`, at most 4,096."""
    vectors = catalogue.index.vectors(side)
    places = np.unique(np.linspace(0, max(len(vectors) - 1, 0), min(_LOOKED_AT, len(vectors))).astype(np.int64))
    return np.asarray(vectors.vectors[places], dtype=np.float64)
