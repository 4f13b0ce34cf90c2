"""How a vector meets the items that may answer, and how long each stage took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from encoders.contracts import Floats, Modality, Vectors
from search.catalogue import Catalogue, Mask, Rows

_SCAN_ROWS = 20_000  # up to here all vectors are scored and then filtered; above it only the allowed ones
_CANDIDATES = 1_000  # asked of an approximate search at least, so that grouping has something to choose from
_PER_GROUP = 50  # items fetched for each group wanted


@dataclass(frozen=True, slots=True)
class Scored:
    """Items with their cosine to the query, best first, ties in row order.

    Attributes
    ----------
    rows : int64 (n,)
        Rows of the index.
    scores : float32 (n,)
        Cosines, descending.
    n_allowed : int
        Items that might have answered; more than `rows` where an approximate search dropped the tail.
    strategy : {"exact", "ann"}
        Whether every allowed item was scored.
    """

    rows: Rows
    scores: Floats
    n_allowed: int
    strategy: Literal["exact", "ann"]


@dataclass(slots=True)
class StageTimer:
    """Milliseconds by stage of one search."""

    stage_ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        start = time.perf_counter()
        yield
        self.stage_ms[name] = round(1000 * (time.perf_counter() - start), 3)


def score(
    catalogue: Catalogue, vector: Vectors, modality: Modality, allowed: Mask, *, k: int, grouped: bool = False
) -> Scored:
    """Cosine of a query with the items that may answer: with all of them where that is cheap, else with the nearest.

    Parameters
    ----------
    catalogue : Catalogue
        Items of the index.
    vector : float32 (dim,)
        Unit vector.
    modality : {"image", "expression"}
        The side of the items to compare with.
    allowed : bool (n_items,)
        Items that may answer; each has a vector of that modality.
    k : int
        Hits wanted.
    grouped : bool
        Whether only the best item of each group will be kept, so that more are needed.
    """
    vectors = catalogue.index.vectors(modality)
    n_allowed = int(allowed.sum())
    strategy = vectors.strategy(allowed)
    if strategy == "exact" and len(vectors) <= _SCAN_ROWS:
        kept = allowed[vectors.rows]
        rows, scores = vectors.rows[kept], vectors.scores(vector)[kept]
        order = np.lexsort((rows, -scores))
        return Scored(rows[order], scores[order], n_allowed, strategy)
    wanted = n_allowed if strategy == "exact" else max(_CANDIDATES, k * (_PER_GROUP if grouped else 1))
    found = vectors.search(vector, wanted, allowed)
    real = found.rows[0] >= 0
    return Scored(found.rows[0][real], found.scores[0][real], n_allowed, strategy)
