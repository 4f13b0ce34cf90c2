"""What the score of two slides is worth: pairs of slides of the index that do not belong together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np

from encoders.contracts import Floats, Modality
from search.catalogue import Catalogue, Mask, Rows
from search.item_rows import vectors_of
from search.profiles import Doubles
from search.result import SearchResult
from search.retrieval.calibration import significance_of_p
from search.retrieval.slide_matching import Match, match_slides
from search.retrieval.slide_parts import PartsOfSlides

#: Pairs below which they say nothing of a tail.
FEWEST_PAIRS = 200
_MOST_SLIDES, _MOST_MATCHED, _SEED = 500, 1_000, 0
_NO_NULL = "The space has no null distribution for whole slides"

How = Match | None  # how parts meet; `None` where slides are compared by their means


@dataclass(frozen=True, slots=True)
class SlidePairs:
    """Scores of pairs of slides of different patients.

    Attributes
    ----------
    scores : float64 (n_pairs,)
        As the search gives them.
    first, second : int64 (n_pairs,)
        Codes of the two patients.
    other_organ : bool (n_pairs,)
        Whether the organs differ too.
    """

    scores: Doubles
    first: Rows
    second: Rows
    other_organ: Mask

    def without(self, patient: int | None) -> "tuple[Doubles, str]":
        """Scores of the pairs that do not involve a patient, ascending, and what sets the two slides apart.

        Pairs of different organs where there are enough of them, else of different patients.
        """
        kept = (self.first != patient) & (self.second != patient)
        apart = kept & self.other_organ
        if apart.sum() >= FEWEST_PAIRS:
            return np.sort(self.scores[apart]), "patients and organs"
        return np.sort(self.scores[kept]), "patients"


class SlideNulls:
    """Pairs of slides of an index that do not belong together, scored when first asked for."""

    def __init__(self, catalogue: Catalogue, parts: PartsOfSlides) -> None:
        self._catalogue = catalogue
        self._parts = parts
        self._known: dict[tuple[Modality, Modality, How], SlidePairs] = {}
        self._lock = Lock()

    def pairs(self, side: Modality, target: Modality, how: How) -> SlidePairs:
        """All pairs of up to 500 slides by their means; 1,000 pairs where parts are matched, which have one side."""
        key = (side, target, how)
        with self._lock:
            if key not in self._known:
                self._known[key] = self._scored(*key)
            return self._known[key]

    def _scored(self, side: Modality, target: Modality, how: How) -> SlidePairs:
        catalogue = self._catalogue
        ones, others = self._slides(side), self._slides(target)
        # One side of both is the same either way; the picture of one with the expression of the other is not.
        every = np.ones((len(ones), len(others)), dtype=np.bool_)
        first, second = np.nonzero(np.triu(every, k=1) if side == target else every)
        patients, organs = (catalogue.codes(name)[0] for name in ("patient", "organ"))
        apart = patients[ones[first]] != patients[others[second]]
        first, second = first[apart], second[apart]
        if how is None:
            vectors, compared = (vectors_of(catalogue, *one) for one in ((ones, side), (others, target)))
            scores = (vectors.astype(np.float64) @ compared.T.astype(np.float64))[first, second]
        else:
            first, second = _drawn(first, second)
            names = catalogue.column("slide")
            scores = self._matched(names[ones[first]].tolist(), names[others[second]].tolist(), side, how)
        known = np.isfinite(scores)
        first, second = ones[first[known]], others[second[known]]
        one, other = (np.asarray(patients[rows], dtype=np.int64) for rows in (first, second))
        return SlidePairs(scores[known], one, other, organs[first] != organs[second])

    def _slides(self, side: Modality) -> Rows:
        rows = np.flatnonzero(self._catalogue.is_one_of("kind", ["slide"]) & self._catalogue.has(side))
        if len(rows) > _MOST_SLIDES:
            rows = rows[np.linspace(0, len(rows) - 1, _MOST_SLIDES).astype(np.int64)]
        return rows

    def _matched(self, names: Sequence[str], others: Sequence[str], side: Modality, how: Match) -> Doubles:
        found = np.full(len(names), np.nan)
        for i, (name, other) in enumerate(zip(names, others, strict=True)):
            one, two = self._parts.of(name, side), self._parts.of(other, side)
            if one is not None and two is not None:
                found[i] = match_slides(one, two, how).score
        return found


@dataclass(frozen=True, slots=True)
class SlidesAsked:
    """A slide that slides were compared with: its side, theirs, and the scores of all of them, descending."""

    slide: str
    side: Modality
    target: Modality
    scores: Floats


def with_p_values(result: SearchResult, nulls: SlideNulls, catalogue: Catalogue, asked: SlidesAsked) -> SearchResult:
    """Give the slides found for a slide their p-values and false-discovery rates.

    They tell how many of the pairs that do not belong together are as alike; pairs with the asked patient take no part.
    With fewer than 200 pairs there are none, and the result says so.
    """
    matched = result.query.get("match") if result.query.get("aggregator") else None
    patient = int(catalogue.codes("patient")[0][catalogue.slide_row(asked.slide)])
    null, apart = nulls.pairs(asked.side, asked.target, matched).without(patient)
    if len(null) < FEWEST_PAIRS:
        why = f"this index has {len(null):,} pairs of slides of other patients, and {FEWEST_PAIRS} are needed."
        return replace(result, notes=_told(result.notes, (f"Scores of whole slides carry no p-value: {why}",)))
    found = significance_of_p(pair_p_values(asked.scores, null), result.plan.n_allowed)
    places = np.searchsorted(-asked.scores, -np.asarray(result.columns["score"], dtype=np.float32))
    said = f"p-values: {len(null):,} pairs of slides of different {apart} in this index."
    if apart == "patients":
        said += " They may share a diagnosis, so a slide stands out only if it is more alike than such pairs."
    told = {name: _at(places, values) for name, values in (("p_value", found.p_values), ("fdr", found.fdr))}
    return replace(result, columns=result.columns | told, notes=_told(result.notes, (said, *found.notes)))


def pair_p_values(scores: Floats, null: Doubles) -> Floats:
    """Share of the null, ascending float64 `(n_pairs,)`, that is at least as high, the score itself counted in."""
    above = len(null) - np.searchsorted(null, scores.astype(np.float64) - 1e-9, side="left")
    return np.asarray((1 + above) / (1 + len(null)), dtype=np.float32)


def _told(notes: tuple[str, ...], instead: tuple[str, ...]) -> tuple[str, ...]:
    """Notes with others in the place of the one that says there is no null."""
    place = next((i for i, note in enumerate(notes) if note.startswith(_NO_NULL)), len(notes))
    return (*notes[:place], *instead, *notes[place + 1 :])


def _drawn(first: Rows, second: Rows) -> tuple[Rows, Rows]:
    if len(first) <= _MOST_MATCHED:
        return first, second
    places = np.sort(np.random.default_rng(_SEED).choice(len(first), _MOST_MATCHED, replace=False))
    return first[places], second[places]


def _at(places: Rows, values: Floats | None) -> list[float]:
    return [] if values is None else values[places].tolist()
