"""How a vector meets the items that may answer, and how long each stage took."""

import time
from dataclasses import dataclass, field

from encoders.contracts import Floats, Modality, Vectors
from indexer.vectors.found import Strategy
from indexer.vectors.probing import NOTHING, Trace
from indexer.vectors.selection import Selection
from indexer.vectors.vector_set import VectorSet
from search.catalogue import Catalogue, Mask, Rows

_SCAN_ROWS = 20_000  # up to here every allowed item is in the answer; above it only the best
_KEPT = 1_000  # items an exact comparison keeps at least, for the false-discovery rate
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
        Items that might have answered; more than `rows` where only the best were kept.
    strategy : {"exact", "ann"}
        Whether every allowed item was scored.
    trace : Trace
        What was looked at.
    """

    rows: Rows
    scores: Floats
    n_allowed: int
    strategy: Strategy
    trace: Trace = NOTHING


@dataclass(slots=True)
class StageTimer:
    """Milliseconds by stage of one search; one stage begins where another ends."""

    stage_ms: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.perf_counter)

    def ends(self, name: str) -> None:
        """Note how long it is since the end of the stage before, or the beginning."""
        now = time.perf_counter()
        self.stage_ms[name] = round(1000 * (now - self._since), 3)
        self._since = now


def n_kept(vectors: VectorSet, selection: Selection, wanted: int, *, exact: bool) -> int:
    """Items that a search keeps, where so many are wanted: more where they cost nothing."""
    if len(vectors) <= _SCAN_ROWS:
        return selection.count
    return max(wanted, _KEPT) if not exact and vectors.strategy(selection, wanted) == "exact" else wanted


def score(
    catalogue: Catalogue,
    vector: Vectors,
    modality: Modality,
    allowed: Mask | Selection,
    *,
    k: int,
    grouped: bool = False,
    exact: bool = False,
    keep_all: bool = False,
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
    allowed : bool (n_items,) or Selection
        Items that may answer; each has a vector of that modality.
    k : int
        Hits wanted.
    grouped : bool
        Whether only the best items of each group will be kept, so that more are needed.
    exact : bool
        Leave out none that could be a hit.
    """
    vectors = catalogue.index.vectors(modality)
    selection = allowed if isinstance(allowed, Selection) else vectors.select(allowed)
    wanted = k * (_PER_GROUP if grouped else 1)
    wanted = selection.count if keep_all else n_kept(vectors, selection, wanted, exact=exact)
    found = vectors.nearest(vector, wanted, selection, exact=exact or keep_all)
    return Scored(found.rows, found.scores, selection.count, found.strategy, found.trace)
