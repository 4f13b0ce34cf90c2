"""How far predictions miss, gene by gene: measured on spots whose counts are known.

Split conformal prediction with normalised residuals (Lei et al., JASA 2018): spots with counts are predicted from other
patients only, and the residual of a gene, relative to what is predicted, that a stated share of them stays within is
the half-width that the same share of new spots stays within, if new patients are like those measured. Relative to the
spread of the neighbours, coverage differs more from patient to patient: they differ most where much is expressed.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from encoders.contracts import Floats, Modality
from search.catalogue import Catalogue, Mask, Rows
from search.errors import QueryError
from search.expression.averaging import profiles_of
from search.expression.prediction import Prediction
from search.expression.temperature import MIN_SPOTS, Fit, evenly, within_sections
from search.expression.weighting import Mode, Weighting
from search.item_rows import vectors_of
from search.profiles import Doubles, has_counts, log_per_10k
from search.retrieval.filters import DEFAULT_KINDS

_MOST_SPOTS = 240
_MOST_GALLERY = 50_000  # items the measured spots are predicted from; evenly taken of larger indexes
NO_INTERVALS = f"No intervals: fewer than {MIN_SPOTS} spots of known counts that another patient could answer for."
_VALUES = 8_000_000  # of log-expression held densely at a time
_FLOOR = 0.5  # log units added to what is predicted: misses do not vanish where next to nothing is


@dataclass(frozen=True, slots=True)
class Misses:
    """Residuals of measured spots.

    Attributes
    ----------
    residuals : float64 (n_spots, n_genes)
        `|measured - predicted| / (predicted + 0.5)`, sorted along each gene.
    r : float64 (n_genes,)
        Pearson correlation of predicted and measured within a section, mean over the sections; nan for a gene without
        variation.
    n_patients, n_pictured : int
        Patients whose spots they are, and how many of them asked with pictures.
    n_told, n_tellers : int
        Spots and patients that `r` is over.
    """

    residuals: Doubles
    r: Doubles
    n_patients: int
    n_pictured: int
    n_told: int = 0
    n_tellers: int = 0

    def at(self, places: Rows) -> "Misses":
        """Those of some of the genes."""
        return replace(self, residuals=self.residuals[:, places], r=self.r[places])

    def beside(self, other: "Misses") -> "Misses":
        """These genes and then others, of the same spots."""
        return replace(self, residuals=np.hstack([self.residuals, other.residuals]), r=np.append(self.r, other.r))

    @property
    def r_chance(self) -> float:
        """Correlation that a gene nothing can be told of exceeds one time in twenty."""
        return 1.645 / math.sqrt(max(self.n_told - 3, 1))

    def half_widths(self, predicted: Doubles, coverage: float) -> Doubles:
        """Half-width of the interval around each predicted gene that covers a share of new spots, float64 `(n_genes,)`.

        Infinite where so few spots cannot promise that share.
        """
        n = len(self.residuals)
        rank = math.ceil((n + 1) * coverage)
        if rank > n:
            return np.full(len(predicted), np.inf)
        return np.asarray(self.residuals[rank - 1] * (predicted + _FLOOR))

    def said(self, coverage: float) -> str:
        """What the intervals rest on."""
        return (
            f"Intervals cover {coverage:.0%} of the values of {len(self.residuals)} spots of {self.n_patients} "
            f"patients ({self.n_pictured} with pictures), each predicted from the other patients; a patient unlike "
            f"these may miss them more often. r: correlation of predicted and measured within sections, {self.n_told} "
            f"spots of {self.n_tellers} patient{'' if self.n_tellers == 1 else 's'}; below {self.r_chance:.2f} it is "
            "no better than chance."
        )


def with_intervals(found: Prediction, coverage: float, known: Misses | None) -> Prediction:
    """Add intervals and the measured predictability of each gene to a prediction; see `Engine.predict_expression`.

    `known` tells how far predictions of its genes miss, `None` if too few spots do.
    """
    if known is None:
        return replace(found, notes=(*found.notes, NO_INTERVALS))
    predicted = found.table.column("predicted").to_numpy().astype(np.float64)
    half = known.half_widths(predicted, coverage)
    table = found.table
    for name, values in (("low", np.maximum(predicted - half, 0.0)), ("high", predicted + half), ("r", known.r)):
        place_of = table.column_names.index(name)
        table = table.set_column(place_of, name, pa.array(values, pa.float32(), from_pandas=True))
    return replace(
        found, table=table, coverage=coverage, r_chance=known.r_chance, notes=(*found.notes, known.said(coverage))
    )


def check_coverage(coverage: float, mode: Mode) -> None:
    """Raise `QueryError` for a share that is none, or a mode that intervals are not measured for."""
    if not 0.0 < coverage < 1.0:
        raise QueryError(f"coverage={coverage!r} is no share; give a number between 0 and 1, such as 0.9.")
    if mode != "softmax":
        raise QueryError(f"Intervals are measured for mode 'softmax'; leave out coverage, or mode={mode!r}.")


def misses(catalogue: Catalogue, columns: Rows, *, fit: Fit, without: tuple[str, ...] = ()) -> Misses | None:
    """Predict spots of known counts from other patients, and note how far off each gene is.

    A spot asks with the side that was fitted, or with its expression where it has no picture: patients without pictures
    still tell how much patients differ. Of those only the intervals know; `r` is over spots asked with the side itself,
    where there are enough of them.

    Parameters
    ----------
    catalogue : Catalogue
        Items of the index.
    columns : int64 (n_genes,)
        Genes, by their place in the panel.
    fit : Fit
        Weighting, and the side that is asked with.
    without : tuple of str
        Patients for whom a prediction is asked: they take no part, neither asking nor answering.

    Returns
    -------
    Misses or None
        `None` if there are fewer than 30 spots of known counts that another patient could answer for.
    """
    counted = has_counts(catalogue) & catalogue.has("expression")
    counted &= ~np.isin(catalogue.column("patient").astype(str), without)
    counted &= catalogue.is_one_of("kind", DEFAULT_KINDS["expression"])
    spots = counted & catalogue.is_one_of("kind", ("spot",))
    rows = evenly(np.flatnonzero(counted), _MOST_GALLERY)
    parts = list(_parts(catalogue, spots, rows, fit))
    own = np.concatenate([np.empty(0, dtype=np.int64), *(part.rows for part in parts)])
    if len(own) < MIN_SPOTS:
        return None
    predicted = _averaged(catalogue, np.concatenate([part.weights for part in parts]), rows, columns)
    measured = profiles_of(catalogue, own, columns)
    ends = np.cumsum([len(part.rows) for part in parts])
    places = [np.arange(end - len(part.rows), end) for end, part in zip(ends, parts, strict=True)]
    # Some of each patient, evenly taken, so that each has the same say.
    some = np.concatenate([evenly(its, max(1, _MOST_SPOTS // len(parts))) for its in places])
    missed = np.abs(measured[some] - predicted[some]) / (predicted[some] + _FLOOR)
    n_pictured = sum(part.side == "image" for part in parts)
    own_side = [its for its, part in zip(places, parts, strict=True) if part.side == fit.modality]
    tellers = own_side if sum(map(len, own_side)) >= MIN_SPOTS else places
    told = np.concatenate(tellers)
    r = within_sections(predicted[told], measured[told], catalogue.column("slide").astype(str)[own[told]])
    residuals = np.sort(missed.astype(np.float64), axis=0)
    return Misses(residuals, r, len(parts), n_pictured, len(told), len(tellers))


@dataclass(frozen=True, slots=True)
class _Part:
    """Spots of one patient, the side they ask with, and the weight of each item of the gallery for each."""

    rows: Rows
    side: Modality
    weights: Floats


def _parts(catalogue: Catalogue, spots: Mask, rows: Rows, fit: Fit) -> Iterator[_Part]:
    """Spots of each patient that another one could answer for, weighing the items `rows` of the others."""
    patient = catalogue.column("patient").astype(str)
    gallery = vectors_of(catalogue, rows, "expression")
    weighting = Weighting("softmax", fit.k, fit.temperature)
    for name, own, side in _asked(catalogue, spots, patient, fit.modality):
        others = np.flatnonzero(patient[rows] != name)
        if len(others):
            weights = np.zeros((len(own), len(rows)), dtype=np.float32)
            weights[:, others] = weighting.of_many(vectors_of(catalogue, own, side) @ gallery[others].T)
            yield _Part(own, side, weights)


def _averaged(catalogue: Catalogue, weights: Floats, rows: Rows, columns: Rows) -> Floats:
    """Weighted means of the log-expression of some items, float32 `(n_spots, n_genes)`, some genes at a time."""
    values = log_per_10k(catalogue, rows, columns).tocsc()
    step = max(1, _VALUES // max(1, len(rows)))
    starts = range(0, len(columns), step)
    return np.hstack([weights @ values[:, start : start + step].toarray() for start in starts])


def _asked(
    catalogue: Catalogue, spots: Mask, patient: npt.NDArray[np.str_], modality: Modality
) -> Iterator[tuple[str, Rows, Modality]]:
    """Spots of each patient and the side they ask with."""
    there = catalogue.has(modality)
    names = np.unique(patient[spots])
    n_own = max(1, len(np.unique(patient[spots & there])))
    for name in names:
        own = spots & (patient == name)
        if (own & there).any():
            yield name, evenly(np.flatnonzero(own & there), max(1, _MOST_SPOTS // n_own)), modality
        else:
            yield name, evenly(np.flatnonzero(own), max(1, _MOST_SPOTS // len(names))), "expression"
