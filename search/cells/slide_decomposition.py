"""Decompose all places of a slide at once, from their counts or from those of their hits."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp

from encoders.contracts import Floats
from search.catalogue import Catalogue, Rows
from search.cells.cell_vectors import CellVectors
from search.cells.composition import cautions, slide_scales
from search.cells.decomposition import MarkerSystem, amounts_of, marker_system, shares_of, weights_at
from search.cells.manner import Manner
from search.cells.reference import CellReference
from search.cells.slide_composition import SlideComposition, TypeShares, places_table, summed_shares
from search.cells.slide_places import HitsOfPlaces, SlideQuestion, hits_of, places_of, rows_of_slide
from search.cells.slide_vectors import mapped_shares, side_for_cells, voted_shares
from search.cells.spread import amount_samples, counting_covariance, sampling_covariance
from search.errors import QueryError
from search.item_rows import vectors_of
from search.profiles import PER, Doubles, per_10k
from search.state import State

_CHUNK = 512
_CHUNK_OF_HITS = 256  # its values are (rows, hits, genes)
_MAPPED = "All places were mapped at once, without a spread; types are assumed to fill the slide evenly."


class _Chunk(Protocol):
    """Places decomposed together."""

    @property
    def values(self) -> Doubles:
        """Counts per 10,000 of the marker genes, float64 `(n, n_markers)`."""

    def covariance(self, profiles: Doubles, weights: Doubles) -> Doubles:
        """Of the weighted sums that a fit is made of; see `search.cells.spread`."""


@dataclass(frozen=True, slots=True)
class _OwnCounts:
    values: Doubles
    per_count: Doubles

    def covariance(self, profiles: Doubles, weights: Doubles) -> Doubles:
        return counting_covariance(profiles, self.values, weights, self.per_count)


@dataclass(frozen=True, slots=True)
class _CountsOfHits:
    values: Doubles
    of_hits: Floats
    shares: Doubles

    def covariance(self, profiles: Doubles, weights: Doubles) -> Doubles:
        return sampling_covariance(profiles, self.of_hits, self.shares, weights)


class _Fitted(NamedTuple):
    """Amounts float64 `(n, n_types)`, and samples of them `(n_samples, n, n_types)`."""

    amounts: Doubles
    samples: Doubles


def decompose_slide(
    state: State, question: SlideQuestion, reference: CellReference | CellVectors, manner: Manner
) -> SlideComposition:
    """Decompose the places of a slide; see `Engine.decompose_slide`."""
    if isinstance(reference, CellVectors):
        return _by_vectors(state, question, reference, manner)
    if manner.method == "votes":
        raise QueryError("Method 'votes' compares with single cells; give CellVectors instead of a CellReference.")
    catalogue = state.catalogue
    rows, source = places_of(state, question)
    system = marker_system(reference, catalogue.index.genes, markers=manner.markers)
    notes: tuple[str, ...] = ()
    chunks: Iterator[_Chunk]
    if source == "counts":
        chunks, slides = _own_chunks(catalogue, rows, system), [question.slide]
    else:
        hits = hits_of(state, rows, question)
        slides = sorted({str(slide) for slide in catalogue.column("slide")[np.unique(hits.rows)]})
        chunks, notes = _hit_chunks(catalogue, hits, system), hits.notes
    if manner.method == "tangram":
        values = np.concatenate([chunk.values for chunk in chunks])
        n_cells = np.array(reference.n_cells, dtype=np.float64)
        told: tuple[TypeShares, ...] = (mapped_shares(reference.types, system.profiles, values, n_cells, manner),)
        notes = (*notes, _MAPPED)
    else:
        scales = slide_scales(catalogue, system, slides)
        told = _shares(system, _fit(system, chunks, scales, manner), reference, manner)
        notes = (*notes, *cautions(reference, system, scales, manner))
    return _answer(state.catalogue, question, rows, told, _Way(source, manner, len(system.genes), notes))


class _Way(NamedTuple):
    """How shares were found."""

    source: Literal["counts", "hits", "vectors"]
    manner: Manner
    n_markers: int
    notes: tuple[str, ...]


def _by_vectors(state: State, question: SlideQuestion, cells: CellVectors, manner: Manner) -> SlideComposition:
    catalogue, rows = state.catalogue, rows_of_slide(state, question)
    side = side_for_cells(catalogue, rows, question.source)
    rows = rows[catalogue.has(side)[rows]]
    told: tuple[TypeShares, ...]
    if manner.method == "votes":
        told = voted_shares(catalogue, rows, side, cells)
    elif manner.method == "tangram":
        n_cells = np.array(cells.n_cells, dtype=np.float64)
        told = (mapped_shares(cells.types, cells.means, vectors_of(catalogue, rows, side), n_cells, manner),)
    else:
        raise QueryError(f"Method {manner.method!r} decomposes counts; give a CellReference instead of CellVectors.")
    compared = f"The {side} vectors of the places compared with {len(cells.codes):,} cells."
    notes: tuple[str, ...] = (compared, _MAPPED) if manner.method == "tangram" else (compared,)
    way = _Way("vectors", manner, cells.vectors.shape[1], notes)
    return _answer(catalogue, question, rows, told, way)


def _answer(
    catalogue: Catalogue, question: SlideQuestion, rows: Rows, told: tuple[TypeShares, ...], way: _Way
) -> SlideComposition:
    return SlideComposition(
        table=places_table(catalogue.index.columns.take(rows), told[0]),
        query=question.describe() | {"source": way.source},
        notes=(*way.notes, *catalogue.generated_note(rows)),
        slide=question.slide,
        source=way.source,
        method=way.manner.method,
        of=way.manner.of,
        n_markers=way.n_markers,
        shares=told[0],
        coarse=told[1] if len(told) > 1 else None,
    )


def _shares(system: MarkerSystem, fitted: _Fitted, reference: CellReference, manner: Manner) -> tuple[TypeShares, ...]:
    """Shares of the types, and of the coarser ones where there are some."""
    proportions = shares_of(system, fitted.amounts, manner.of)
    flat = shares_of(system, fitted.samples.reshape(-1, len(reference.types)), manner.of)
    samples = flat.reshape(fitted.samples.shape)
    fine = TypeShares(reference.types, proportions, samples.std(axis=0))
    return (fine, summed_shares(reference.parents, samples, proportions)) if reference.parents else (fine,)


def _fit(system: MarkerSystem, chunks: Iterator[_Chunk], scales: Doubles | None, manner: Manner) -> _Fitted:
    profiles = system.profiles if scales is None else system.profiles * scales
    rng = np.random.default_rng(0)
    amounts, samples = [], []
    for chunk in chunks:
        found = amounts_of(system, chunk.values, method=manner.weighting, scales=scales)
        weights = weights_at(profiles, found, manner.weighting)
        covariance = chunk.covariance(profiles, weights)
        amounts.append(found)
        samples.append(amount_samples(profiles, chunk.values, weights, covariance, found, rng))
    return _Fitted(np.concatenate(amounts), np.concatenate(samples, axis=1))


def _own_chunks(catalogue: Catalogue, rows: Rows, system: MarkerSystem) -> Iterator[_OwnCounts]:
    totals = catalogue.column("total_counts")[rows].astype(np.float64)
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        values = per_10k(catalogue, rows[part], system.columns).toarray().astype(np.float64)
        yield _OwnCounts(values, PER / totals[part])


def _hit_chunks(catalogue: Catalogue, hits: HitsOfPlaces, system: MarkerSystem) -> Iterator[_CountsOfHits]:
    unique, place = np.unique(hits.rows, return_inverse=True)
    place = place.reshape(hits.rows.shape)
    values = per_10k(catalogue, unique, system.columns)
    n, k = hits.rows.shape
    shares = sp.csr_matrix((hits.weights.ravel(), place.ravel(), np.arange(n + 1) * k), shape=(n, len(unique)))
    for start in range(0, n, _CHUNK_OF_HITS):
        part = slice(start, start + _CHUNK_OF_HITS)
        near, its = np.unique(place[part], return_inverse=True)
        of_hits = values[near].toarray()[its.reshape(-1, k)]
        yield _CountsOfHits((shares[part] @ values).toarray(), of_hits, hits.weights[part])
