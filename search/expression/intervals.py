"""How far predictions miss, gene by gene: measured on spots whose counts are known.

Split conformal prediction with normalised residuals (Lei et al., JASA 2018): spots with counts are predicted from other
patients only, and the residual of a gene, in units of the spread of its neighbours, that a stated
share of them stays within is the half-width that the same share of new spots stays within, if new patients are like
those measured.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from encoders.contracts import Modality
from search.catalogue import Catalogue, Mask, Rows
from search.errors import QueryError
from search.expression.prediction import PREDICTION_K, Prediction, weights_of
from search.item_rows import vectors_of
from search.profiles import Doubles, has_counts, log_per_10k
from search.retrieval.filters import DEFAULT_KINDS

MIN_SPOTS = 30
_MOST_SPOTS = 240
_MOST_GALLERY = 50_000  # items the measured spots are predicted from; evenly taken of larger indexes
_CHUNK = 2_048
_FLOOR = 0.05  # log units added to the spread: neighbours that agree to the digit are not that certain


@dataclass(frozen=True, slots=True)
class Misses:
    """Residuals of measured spots.

    Attributes
    ----------
    residuals : float64 (n_spots, n_genes)
        `|measured - predicted| / (sd + 0.05)`, sorted along each gene.
    r : float64 (n_genes,)
        Pearson correlation of predicted and measured, over the spots; nan for a gene without variation.
    n_patients, n_pictured : int
        Patients whose spots they are, and how many of them asked with pictures.
    """

    residuals: Doubles
    r: Doubles
    n_patients: int
    n_pictured: int

    def half_widths(self, sd: Doubles, coverage: float) -> Doubles:
        """Half-width of the interval of each gene that covers a share of new spots, float64 `(n_genes,)`.

        Infinite where so few spots cannot promise that share.
        """
        n = len(self.residuals)
        rank = math.ceil((n + 1) * coverage)
        if rank > n:
            return np.full(len(sd), np.inf)
        return np.asarray(self.residuals[rank - 1] * (sd + _FLOOR))

    def said(self, coverage: float) -> str:
        """What the intervals rest on."""
        return (
            f"Intervals cover {coverage:.0%} of the values of {len(self.residuals)} spots of {self.n_patients} "
            f"patients ({self.n_pictured} with pictures), each predicted from the other patients; a patient unlike "
            "these may miss them more often. r is the correlation of predicted and measured over these spots."
        )


def with_intervals(
    catalogue: Catalogue, found: Prediction, coverage: float | None, *, without: str | None
) -> Prediction:
    """Add intervals and the measured predictability of each gene to a prediction; see `Engine.predict_expression`.

    Raises
    ------
    QueryError
        If the share to cover is not between 0 and 1, or the neighbours were weighted otherwise than in mode `softmax`.
    """
    if coverage is None:
        return found
    if not 0.0 < coverage < 1.0:
        raise QueryError(f"coverage={coverage!r} is no share; give a number between 0 and 1, such as 0.9.")
    if found.mode != "softmax":
        raise QueryError(f"Intervals are measured for mode 'softmax'; leave out coverage, or mode={found.mode!r}.")
    place = {gene: column for column, gene in enumerate(catalogue.index.genes)}
    columns = np.array([place[gene] for gene in found.table.column("gene").to_pylist()], dtype=np.int64)
    known = misses(catalogue, columns, without=without)
    if known is None:
        note = f"No intervals: fewer than {MIN_SPOTS} spots of known counts that another patient could answer for."
        return replace(found, notes=(*found.notes, note))
    predicted = found.table.column("predicted").to_numpy().astype(np.float64)
    half = known.half_widths(found.table.column("sd").to_numpy().astype(np.float64), coverage)
    table = found.table
    for name, values in (("low", np.maximum(predicted - half, 0.0)), ("high", predicted + half), ("r", known.r)):
        place_of = table.column_names.index(name)
        table = table.set_column(place_of, name, pa.array(values, pa.float32(), from_pandas=True))
    return replace(found, table=table, coverage=coverage, notes=(*found.notes, known.said(coverage)))


def misses(catalogue: Catalogue, columns: Rows, *, without: str | None = None) -> Misses | None:
    """Predict spots of known counts from other patients, and note how far off each gene is.

    A spot asks with its picture where it has one, else with its expression: patients without pictures still tell how
    much patients differ.

    Parameters
    ----------
    catalogue : Catalogue
        Items of the index.
    columns : int64 (n_genes,)
        Genes, by their place in the panel.
    without : str, optional
        Patient whose spots are left out, because a prediction for them is asked.

    Returns
    -------
    Misses or None
        `None` if there are fewer than 30 spots of known counts that another patient could answer for.
    """
    counted = has_counts(catalogue) & catalogue.has("expression")
    counted &= catalogue.is_one_of("kind", DEFAULT_KINDS["expression"])
    patient = catalogue.column("patient").astype(str)
    spots = counted & catalogue.is_one_of("kind", ("spot",))
    if without is not None:
        spots &= patient != without
    parts = list(_by_patient(catalogue, columns, spots, counted, patient))
    if sum(len(part.measured) for part in parts) < MIN_SPOTS:
        return None
    predicted, sd, measured = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("predicted", "sd", "measured")
    )
    residuals = np.sort(np.abs(measured - predicted) / (sd + _FLOOR), axis=0)
    n_pictured = sum(part.pictured for part in parts)
    return Misses(residuals, _columnwise_r(predicted, measured), len(parts), n_pictured)


@dataclass(frozen=True, slots=True)
class _Part:
    """Spots of one patient."""

    predicted: Doubles
    sd: Doubles
    measured: Doubles
    pictured: bool


def _by_patient(
    catalogue: Catalogue, columns: Rows, spots: Mask, counted: Mask, patient: npt.NDArray[np.str_]
) -> Iterator[_Part]:
    pictured = catalogue.has("image")
    names = np.unique(patient[spots])
    for name in names:
        own = spots & (patient == name)
        if (own & pictured).any():
            own &= pictured
        rows = _some(np.flatnonzero(own), max(1, _MOST_SPOTS // len(names)))
        gallery = _some(np.flatnonzero(counted & (patient != name)), _MOST_GALLERY)
        if len(gallery):
            side: Modality = "image" if pictured[rows[0]] else "expression"
            predicted, sd = _predicted(catalogue, columns, rows, gallery, side)
            measured = log_per_10k(catalogue, rows)[:, columns].toarray().astype(np.float64)
            yield _Part(predicted, sd, measured, side == "image")


def _predicted(
    catalogue: Catalogue, columns: Rows, rows: Rows, gallery: Rows, side: Modality
) -> tuple[Doubles, Doubles]:
    """Mean and spread of the neighbours of each spot, float64 `(n_spots, n_genes)`."""
    scores = vectors_of(catalogue, rows, side) @ vectors_of(catalogue, gallery, "expression").T
    k = min(PREDICTION_K, len(gallery))
    nearest = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    nearest = np.take_along_axis(nearest, np.argsort(-np.take_along_axis(scores, nearest, axis=1), axis=1), axis=1)
    own = np.take_along_axis(scores, nearest, axis=1).astype(np.float64)
    weights = np.stack([weights_of(one, k, "softmax") for one in own])
    used, place = np.unique(nearest, return_inverse=True)
    spot = np.repeat(np.arange(len(rows)), k)
    share = sp.csr_matrix((weights.ravel(), (spot, place.ravel())), shape=(len(rows), len(used)))
    mean, square = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)))
    for start in range(0, len(used), _CHUNK):
        values = log_per_10k(catalogue, gallery[used[start : start + _CHUNK]])[:, columns]
        part = share[:, start : start + _CHUNK]
        mean += (part @ values).toarray()
        np.square(values.data, out=values.data)
        square += (part @ values).toarray()
    return mean, np.sqrt(np.maximum(square - mean**2, 0.0))


def _some(rows: Rows, most: int) -> Rows:
    """At most so many rows, spread evenly."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _columnwise_r(a: Doubles, b: Doubles) -> Doubles:
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.asarray(np.divide((a * b).sum(axis=0), scale, out=np.full(a.shape[1], np.nan), where=scale > 0))
