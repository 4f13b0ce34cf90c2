"""Predicted expression at every tile and spot of a slide, in a few matrix products."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from encoders.contracts import Floats, Modality
from search.catalogue import Catalogue, Mask, Rows
from search.errors import QueryError
from search.expression.averaging import profiles_of
from search.expression.learned import Learned
from search.expression.many import Answering, able_to_answer, predict_many, predictability
from search.expression.prediction import check_mode, chosen_genes
from search.expression.temperature import columnwise_r
from search.expression.weighting import Mode
from search.item_rows import vectors_of
from search.profiles import Doubles, has_counts
from search.result import Findings
from search.retrieval.filters import Exclude

_COLUMNS = ("id", "kind", "x_px", "y_px")
_PLACED = ("tile", "spot", "cell")


@dataclass(frozen=True, slots=True)
class PlacesAsked:
    """What is asked of a slide; the arguments of `Engine.predict_slide`."""

    slide: str
    using: Modality | None
    genes: Sequence[str] | None
    n_genes: int
    mode: Mode
    k: int | None
    where: str | None
    exclude: Exclude
    predictability: bool


@dataclass(frozen=True, slots=True)
class SlidePrediction(Findings):
    """Predicted expression of the places of a slide, natural log of 1 + counts per 10,000.

    Columns of `table`, a row a place: `id`, `kind`, `x_px`, `y_px` (centre, level-0 pixels), `n_effective`.

    Attributes
    ----------
    slide, patient : str
        The slide and whose it is.
    modality : {"image", "expression"}
        The side its places asked with.
    mode : str
        How it was predicted.
    temperature : float or None
        Of mode `softmax`.
    n_neighbours : int
        Items averaged for a place.
    excluded_patients : tuple of str
        Patients of whom nothing answered.
    genes : tuple of str
        Symbols.
    predicted, sd : float32 (n_places, n_genes)
        Mean and spread over the neighbours; the spread is NaN where weights are negative.
    measured : float32 (n_places, n_genes)
        Of the place itself, NaN where it has no counts.
    r : float64 (n_genes,)
        Measured predictability: correlation within sections of other patients; NaN where not measured.
    r_chance : float
        What chance alone exceeds one time in twenty; NaN where not measured.
    r_here : float64 (n_genes,)
        The same correlation on this slide, where it has counts.
    """

    slide: str
    patient: str | None
    modality: Modality
    mode: Mode
    temperature: float | None
    n_neighbours: int
    excluded_patients: tuple[str, ...]
    genes: tuple[str, ...]
    predicted: Floats
    sd: Floats
    measured: Floats
    r: Doubles
    r_chance: float
    r_here: Doubles

    def predictable(self) -> Mask:
        """Whether each gene was predicted better than chance on other patients, bool; true where not measured."""
        return np.asarray((self.r > self.r_chance) | np.isnan(self.r_chance))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form: the figures of each gene, not of each place."""
        genes = [
            {"gene": gene, "mean_predicted": float(mean), "r": _or_none(r), "r_here": _or_none(here)}
            for gene, mean, r, here in zip(self.genes, self.predicted.mean(axis=0), self.r, self.r_here, strict=True)
        ]
        return {
            "query": self.query,
            "notes": list(self.notes),
            "slide": self.slide,
            "modality": self.modality,
            "mode": self.mode,
            "temperature": self.temperature,
            "r_chance": _or_none(self.r_chance),
            "n_places": len(self),
            "n_neighbours": self.n_neighbours,
            "excluded_patients": list(self.excluded_patients),
            "rows": genes,
        }


def predict_places(catalogue: Catalogue, learned: Learned, background: Doubles, asked: PlacesAsked) -> SlidePrediction:
    """Predict all places of a slide; see `Engine.predict_slide`."""
    check_mode(asked.mode)
    patient = catalogue.value(catalogue.slide_row(asked.slide), "patient")
    without = () if patient is None else (patient,)
    rows, side = _places(catalogue, asked)
    columns, said = chosen_genes(catalogue, asked.genes, asked.n_genes, background)
    if asked.genes is None:
        said = (f"The {len(columns)} genes most expressed over the index.",)
    fit = learned.fit(side, without, asked.mode).with_k(asked.k)
    left_out, allowed = _answering(catalogue, asked, patient)
    answering = Answering(side, asked.mode, fit, allowed, without)
    found = predict_many(catalogue, learned, vectors_of(catalogue, rows, side), columns, answering)
    softmax = asked.mode == "softmax"
    known = predictability(learned, columns, answering) if asked.predictability else None
    measured = _measured(catalogue, rows, columns)
    seen = np.isfinite(measured).all(axis=1)
    n_without = int(np.isnan(found.mean).any(axis=1).sum())
    undivided = f"{n_without:,} places have no value: their cosines sum to zero or less, which 'raw' divides by."
    places = catalogue.index.columns.take(rows)
    return SlidePrediction(
        table=pa.table({name: places[name] for name in _COLUMNS} | {"n_effective": pa.array(found.n_effective)}),
        query={"type": "places", "slide": asked.slide, "using": side, "mode": asked.mode, "where": asked.where},
        notes=(
            *said,
            *([fit.said()] if softmax else []),
            left_out,
            *([undivided] if n_without else []),
            *catalogue.generated_note(rows),
        ),
        slide=asked.slide,
        patient=patient,
        modality=side,
        mode=asked.mode,
        temperature=fit.temperature if softmax else None,
        n_neighbours=found.n_neighbours,
        excluded_patients=without if asked.exclude == "patient" or asked.mode == "ridge" else (),
        genes=tuple(catalogue.index.genes[column] for column in columns),
        predicted=found.mean,
        sd=found.sd,
        measured=measured,
        r=np.full(len(columns), np.nan) if known is None else known.r,
        r_chance=float("nan") if known is None else known.r_chance,
        r_here=columnwise_r(found.mean[seen], measured[seen]) if seen.any() else np.full(len(columns), np.nan),
    )


def _places(catalogue: Catalogue, asked: PlacesAsked) -> tuple[Rows, Modality]:
    own = catalogue.rows_where("slide", asked.slide)
    placed = np.isfinite(catalogue.column("x_px")[own].astype(np.float64))
    own = own[placed & catalogue.is_one_of("kind", _PLACED)[own]]
    side: Modality = asked.using or ("image" if catalogue.has("image")[own].any() else "expression")
    rows = own[catalogue.has(side)[own]]
    if not len(rows):
        raise QueryError(
            f"Slide {asked.slide!r} has no tile or spot with a position and an {side} vector to predict from."
        )
    return rows, side


def _answering(catalogue: Catalogue, asked: PlacesAsked, patient: str | None) -> tuple[str, Mask]:
    """What is left out, in words, and the items that may answer."""
    if asked.exclude == "none":
        raise QueryError(
            "exclude='none' would let a slide's own counts answer for it; choose slide or patient to be left out."
        )
    allowed = able_to_answer(catalogue, asked.where)
    by_patient = patient if asked.exclude == "patient" else None
    left = catalogue.rows_where(*(("patient", by_patient) if by_patient else ("slide", asked.slide)))
    n_left = int(allowed[left].sum())
    allowed[left] = False
    if not allowed.any():
        raise QueryError("No item with counts is left to predict from; loosen the filter or the exclusion.")
    what = f"patient {patient!r}" if by_patient else f"slide {asked.slide!r}"
    return f"Own {what} left out ({n_left:,} items); {int(allowed.sum()):,} items could answer.", allowed


def _measured(catalogue: Catalogue, rows: Rows, columns: Rows) -> Floats:
    measured = np.full((len(rows), len(columns)), np.nan, dtype=np.float32)
    counted = has_counts(catalogue)[rows]
    if counted.any():
        measured[counted] = profiles_of(catalogue, rows[counted], columns)
    return measured


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
