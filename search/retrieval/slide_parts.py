"""Slides compared by their parts: the means choose candidates, the prototypes order them and say what matched."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from encoders.aggregators import MEAN
from encoders.contracts import Modality
from indexer.index import Index
from indexer.store.aggregates import SlideAggregate, read_aggregates
from search.catalogue import Catalogue
from search.errors import QueryError
from search.result import Findings, SearchResult
from search.retrieval.calibration import Significance
from search.retrieval.hits import hits_columns
from search.retrieval.plan import Scored
from search.retrieval.retrieve import Retrieval
from search.retrieval.slide_matching import Match, match_slides

#: Slides whose parts are compared: the nearest by their means.
CANDIDATES = 200


@dataclass(frozen=True, slots=True)
class SlideParts(Findings):
    """Which part of a slide matched which part of another.

    Columns: `share` of the slide and `item` that shows the part, `cosine`, `other_item` and `other_share` of the part
    it goes to; largest share first.

    Attributes
    ----------
    slide, other : str
        The two slides.
    modality : {"image", "expression"}
        The side compared.
    score : float
        Of the pair, as `Engine.similar_slides` gives it.
    """

    slide: str
    other: str
    modality: Modality
    score: float


@dataclass(frozen=True, slots=True)
class AskedSlide:
    """A slide to be compared with others: on which side, and how its parts meet theirs."""

    slide: str
    side: Modality
    match: Match = "transport"


class PartsOfSlides:
    """What stands for each slide of an index besides its mean; files are read when first asked for."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._known: dict[str, dict[Modality, SlideAggregate]] = {}
        slides = index.slide_facts()
        names, digests = slides.column("slide").to_pylist(), slides.column("content_sha256").to_pylist()
        self._digest_of: dict[str, str] = dict(zip(names, digests, strict=True))

    @property
    def aggregator(self) -> str:
        """What made them; `mean` where slides have nothing besides."""
        return self._index.card.aggregator

    def of(self, slide: str, modality: Modality) -> SlideAggregate | None:
        """Parts of one side of a slide, `None` where the index keeps none; raises `IndexFormatError`."""
        if self.aggregator == MEAN:
            return None
        if slide not in self._known:
            self._known[slide] = read_aggregates(self._index.location, self._digest_of[slide], slide=slide)
        return self._known[slide].get(modality)


def ordered_by_parts(
    found: Retrieval, catalogue: Catalogue, parts: PartsOfSlides, asked: AskedSlide, *, k: int
) -> SearchResult:
    """The `k` slides whose parts match best among the `CANDIDATES` nearest by their means.

    Parameters
    ----------
    found : Retrieval
        All slides by their means.
    asked : AskedSlide
        The slide, the side to compare, and how.

    Raises
    ------
    IndexFormatError
        If the parts of a slide are lost.
    QueryError
        If it is not known how to compare them.
    """
    side = asked.side
    own = parts.of(asked.slide, side)
    if own is None:
        why = f"Aggregator {parts.aggregator!r} has no {side} side: slides are compared by their means."
        return found.result if parts.aggregator == MEAN else replace(found.result, notes=(*found.result.notes, why))
    rows = found.scored.rows[:CANDIDATES]
    others = [parts.of(str(name), side) for name in catalogue.column("slide")[rows]]
    scores = np.array(
        [-1.0 if other is None else match_slides(own, other, asked.match).score for other in others], np.float32
    )
    order = np.lexsort((rows, -scores))[:k]
    scored = Scored(rows[order], scores[order], found.scored.n_allowed, found.scored.strategy)
    hits = hits_columns(scored, np.arange(len(order)), Significance(None, None, ()), catalogue, side)
    what = "one learned vector each" if len(own.shares) == 1 else f"up to {len(own.shares)} prototypes and their shares"
    note = f"Ordered by {what} ({parts.aggregator}, {asked.match}), among the {len(rows):,} nearest by their means."
    query = found.result.query | {"aggregator": parts.aggregator, "match": asked.match}
    return replace(found.result, columns=hits, query=query, notes=(*found.result.notes, note))


def slide_parts(parts: PartsOfSlides, asked: AskedSlide, other: str) -> SlideParts:
    """Which part of a slide matched which part of another; see `Engine.slide_parts`."""
    slide, side = asked.slide, asked.side
    first, second = parts.of(slide, side), parts.of(other, side)
    if first is None or second is None:
        lacking = slide if first is None else other
        raise QueryError(
            f"Slide {lacking!r} has no parts on its {side} side (this index has aggregator {parts.aggregator!r}); "
            f"ingest into an index with aggregator 'prototypes'."
        )
    match = match_slides(first, second, asked.match)
    table = pa.table(
        {
            "share": pa.array(first.shares, pa.float32()),
            "item": pa.array(first.items, pa.string()),
            "cosine": pa.array(match.cosines.astype(np.float32)),
            "other_item": pa.array([second.items[best] for best in match.partner.tolist()], pa.string()),
            "other_share": pa.array(second.shares[match.partner], pa.float32()),
        }
    )
    return SlideParts(
        table=table,
        query={"slide": slide, "other": other, "using": side, "aggregator": parts.aggregator, "match": asked.match},
        notes=(f"Parts by {parts.aggregator}; each is shown by the item nearest to it.",),
        slide=slide,
        other=other,
        modality=side,
        score=match.score,
    )
