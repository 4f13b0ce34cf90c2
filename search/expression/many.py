"""Predicted expression of many vectors at once, in every mode."""

from dataclasses import dataclass

import numpy as np

from encoders.contracts import Floats, Modality, Vectors
from search.catalogue import Catalogue, Mask, Rows
from search.errors import QueryError
from search.expression.averaging import Moments, averaged_of_index
from search.expression.intervals import Misses
from search.expression.learned import Learned
from search.expression.prediction import check_image, check_mode, chosen_genes, everyone
from search.expression.temperature import Fit
from search.expression.weighting import Mode, Weighting
from search.profiles import Doubles, has_counts, weighted_moments
from search.retrieval.filters import DEFAULT_KINDS, candidates


@dataclass(frozen=True, slots=True)
class Answering:
    """How vectors are answered: the mode with its weighting, who may, and patients nothing is fitted on."""

    modality: Modality
    mode: Mode
    fit: Fit
    allowed: Mask
    without: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VectorsAsked:
    """What is asked of an index with vectors: their side, genes of the panel, and as in `Engine.predict_expression`.

    `patients` may not answer, nor be fitted on.
    """

    modality: Modality
    genes: tuple[str, ...]
    mode: Mode = "softmax"
    k: int | None = None
    where: str | None = None
    patients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VectorsPrediction:
    """Answer to vectors.

    Attributes
    ----------
    predicted, sd : float32 (n, n_genes)
        Log-expression and its spread over the neighbours.
    n_effective : float32 (n,)
        Effective number of neighbours.
    r : float64 (n_genes,)
        Measured predictability; NaN where not measured.
    notes : tuple of str
        Sentences the user should read.
    """

    predicted: Floats
    sd: Floats
    n_effective: Floats
    r: Doubles
    notes: tuple[str, ...]


def predict_vectors(catalogue: Catalogue, learned: Learned, vectors: Vectors, asked: VectorsAsked) -> VectorsPrediction:
    """Predict for unit vectors `(n, dim)` from outside the index; see `Engine.predict_vectors`."""
    check_mode(asked.mode)
    dim = catalogue.index.card.space.dim
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise QueryError(f"Got vectors {vectors.shape}; expected (n, {dim}), the dim of the space.")
    columns, said = chosen_genes(catalogue, asked.genes, len(asked.genes), np.zeros(0))
    patient = catalogue.column("patient").astype(str)
    allowed = able_to_answer(catalogue, asked.where) & ~np.isin(patient, asked.patients)
    fit = learned.fit(asked.modality, asked.patients, asked.mode).with_k(asked.k)
    answering = Answering(asked.modality, asked.mode, fit, allowed, asked.patients)
    found = predict_many(catalogue, learned, vectors, columns, answering)
    known = predictability(learned, columns, answering)
    r = np.full(len(columns), np.nan) if known is None else known.r
    softmax = asked.mode == "softmax"
    notes = (*said, *([fit.said()] if softmax else []), f"{int(allowed.sum()):,} items could answer.")
    return VectorsPrediction(found.mean, found.sd, found.n_effective, r, notes)


def predict_many(
    catalogue: Catalogue, learned: Learned, vectors: Vectors, columns: Rows, answering: Answering
) -> Moments:
    """Predict some genes of the panel for unit vectors `(n, dim)`.

    Raises
    ------
    QueryError
        If nothing may answer, or the mode has nothing to go by.
    """
    if answering.mode == "ridge":
        check_image(answering.modality)
        ridge = learned.ridge(answering.without)
        mean = ridge.predict(vectors, columns).astype(np.float32)
        return Moments(
            mean, _repeated(ridge.sd[columns], len(mean)), ridge.n_spots, _constant(ridge.n_spots, len(mean))
        )
    if answering.mode == "mean":
        near = everyone(catalogue, np.flatnonzero(answering.allowed))
        average, square = weighted_moments(catalogue, near.rows, near.weights)
        sd = np.sqrt(np.maximum(square - average**2, 0.0))
        n = len(vectors)
        return Moments(
            _repeated(average[columns], n), _repeated(sd[columns], n), len(near.rows), _constant(len(near.rows), n)
        )
    weighting = Weighting(answering.mode, answering.fit.k, answering.fit.temperature)
    return averaged_of_index(catalogue, vectors, answering.allowed, columns, weighting)


def predictability(learned: Learned, columns: Rows, answering: Answering) -> Misses | None:
    """How well genes are predicted on other patients, where the mode is the one that this is measured for."""
    if answering.mode != "softmax":
        return None
    return learned.misses(columns, answering.fit, answering.without)


def able_to_answer(catalogue: Catalogue, where: str | None) -> Mask:
    """Spots, cells and transcriptomes with counts that a `where` text allows, bool `(n_items,)`."""
    return candidates(catalogue, "expression", DEFAULT_KINDS["expression"], where) & has_counts(catalogue)


def _repeated(values: Doubles, n: int) -> Floats:
    return np.repeat(values.astype(np.float32)[None], n, axis=0)


def _constant(value: int, n: int) -> Floats:
    return np.full(n, value, dtype=np.float32)
