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
        As `Engine.similar_slides` gives them.
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
        self._known: dict[tuple[Modality, How], SlidePairs] = {}
        self._lock = Lock()

    def pairs(self, side: Modality, how: How) -> SlidePairs:
        """All pairs of up to 500 slides by their means; 1,000 pairs where parts are matched."""
        with self._lock:
            if (side, how) not in self._known:
                self._known[side, how] = self._scored(side, how)
            return self._known[side, how]

    def _scored(self, side: Modality, how: How) -> SlidePairs:
        catalogue = self._catalogue
        rows = np.flatnonzero(catalogue.is_one_of("kind", ["slide"]) & catalogue.has(side))
        if len(rows) > _MOST_SLIDES:
            rows = rows[np.linspace(0, len(rows) - 1, _MOST_SLIDES).astype(np.int64)]
        patients, organs = (np.asarray(catalogue.codes(name)[0][rows], dtype=np.int64) for name in ("patient", "organ"))
        first, second = np.triu_indices(len(rows), k=1)
        apart = patients[first] != patients[second]
        first, second = first[apart], second[apart]
        if how is None:
            vectors = vectors_of(catalogue, rows, side).astype(np.float64)
            scores = np.einsum("ij,ij->i", vectors[first], vectors[second])
        else:
            first, second = _drawn(first, second)
            names = catalogue.column("slide")[rows]
            scores = self._matched(names[first].tolist(), names[second].tolist(), side, how)
        known = np.isfinite(scores)
        other_organ = organs[first] != organs[second]
        return SlidePairs(scores[known], patients[first][known], patients[second][known], other_organ[known])

    def _matched(self, names: Sequence[str], others: Sequence[str], side: Modality, how: Match) -> Doubles:
        found = np.full(len(names), np.nan)
        for i, (name, other) in enumerate(zip(names, others, strict=True)):
            one, two = self._parts.of(name, side), self._parts.of(other, side)
            if one is not None and two is not None:
                found[i] = match_slides(one, two, how).score
        return found


def with_p_values(
    result: SearchResult, nulls: SlideNulls, catalogue: Catalogue, *, side: Modality, slide: str
) -> SearchResult:
    """Give the slides found for a slide their p-values and false-discovery rates.

    They tell how many of the pairs that do not belong together are as alike; pairs with the asked patient take no part.
    With fewer than 200 pairs there are none, and the result says so.
    """
    matched = result.query.get("match") if result.query.get("aggregator") else None
    patient = int(catalogue.codes("patient")[0][catalogue.slide_row(slide)])
    scores, apart = nulls.pairs(side, matched).without(patient)
    if len(scores) < FEWEST_PAIRS:
        why = f"this index has {len(scores):,} pairs of slides of other patients, and {FEWEST_PAIRS} are needed."
        return replace(result, notes=_told(result.notes, (f"Scores of whole slides carry no p-value: {why}",)))
    p_values = pair_p_values(np.asarray(result.columns["score"], dtype=np.float32), scores)
    found = significance_of_p(p_values, result.plan.n_allowed)
    said = f"p-values: {len(scores):,} pairs of slides of different {apart} in this index."
    if apart == "patients":
        said += " They may share a diagnosis, so a slide stands out only if it is more alike than such pairs."
    columns = result.columns | {"p_value": _listed(found.p_values), "fdr": _listed(found.fdr)}
    return replace(result, columns=columns, notes=_told(result.notes, (said, *found.notes)))


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


def _listed(values: Floats | None) -> list[float]:
    return [] if values is None else values.tolist()
