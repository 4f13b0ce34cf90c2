"""Decompose all places of a slide at once, from their counts or from those of their hits."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from search.catalogue import Catalogue, Rows
from search.cells.composition import Manner, cautions, slide_scales
from search.cells.decomposition import MarkerSystem, amounts_of, marker_system, shares_of, weights_at
from search.cells.reference import CellReference
from search.cells.slide_composition import SlideComposition, TypeShares, places_table, summed_shares
from search.cells.slide_places import HitsOfPlaces, SlideQuestion, hits_of, places_of
from search.cells.spread import amount_samples, counting_covariance, sampling_covariance
from search.profiles import PER, Doubles, per_10k
from search.state import State

_CHUNK = 512
_CHUNK_OF_HITS = 64  # its values are (rows, hits, genes)
_READ_ROWS = 8_192


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
    of_hits: Doubles
    shares: Doubles

    def covariance(self, profiles: Doubles, weights: Doubles) -> Doubles:
        return sampling_covariance(profiles, self.of_hits, self.shares, weights)


class _Fitted(NamedTuple):
    """Amounts float64 `(n, n_types)`, and samples of them `(n_samples, n, n_types)`."""

    amounts: Doubles
    samples: Doubles


def decompose_slide(
    state: State, question: SlideQuestion, reference: CellReference, manner: Manner
) -> SlideComposition:
    """Decompose the places of a slide; see `Engine.decompose_slide`."""
    catalogue = state.catalogue
    rows, source = places_of(catalogue, question)
    system = marker_system(reference, catalogue.index.genes, markers=manner.markers)
    chunks: Iterator[_Chunk]
    notes: tuple[str, ...] = ()
    if source == "counts":
        chunks, slides = _own_chunks(catalogue, rows, system), [question.slide]
    else:
        hits = hits_of(state, rows, question)
        slides = sorted({str(slide) for slide in catalogue.column("slide")[np.unique(hits.rows)]})
        chunks, notes = _hit_chunks(catalogue, hits, system), hits.notes
    scales = slide_scales(catalogue, system, slides)
    fitted = _fit(system, chunks, scales, manner)
    proportions = shares_of(system, fitted.amounts, manner.of)
    n_types = len(reference.types)
    samples = shares_of(system, fitted.samples.reshape(-1, n_types), manner.of).reshape(-1, len(rows), n_types)
    shares = TypeShares(reference.types, proportions, samples.std(axis=0))
    return SlideComposition(
        table=places_table(catalogue.index.columns.take(rows), shares),
        query=question.describe() | {"source": source},
        notes=(*notes, *cautions(reference, system, scales, manner), *catalogue.generated_note(rows)),
        slide=question.slide,
        source=source,
        method=manner.method,
        of=manner.of,
        n_markers=len(system.genes),
        shares=shares,
        coarse=summed_shares(reference.parents, samples, proportions) if reference.parents else None,
    )


def _fit(system: MarkerSystem, chunks: Iterator[_Chunk], scales: Doubles | None, manner: Manner) -> _Fitted:
    profiles = system.profiles if scales is None else system.profiles * scales
    rng = np.random.default_rng(0)
    amounts, samples = [], []
    for chunk in chunks:
        found = amounts_of(system, chunk.values, method=manner.method, scales=scales)
        weights = weights_at(profiles, found, manner.method)
        covariance = chunk.covariance(profiles, weights)
        amounts.append(found)
        samples.append(amount_samples(profiles, chunk.values, weights, covariance, found, rng))
    return _Fitted(np.concatenate(amounts), np.concatenate(samples, axis=1))


def _own_chunks(catalogue: Catalogue, rows: Rows, system: MarkerSystem) -> Iterator[_OwnCounts]:
    totals = catalogue.column("total_counts")[rows].astype(np.float64)
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        yield _OwnCounts(_markers_of(catalogue, rows[part], system).toarray().astype(np.float64), PER / totals[part])


def _hit_chunks(catalogue: Catalogue, hits: HitsOfPlaces, system: MarkerSystem) -> Iterator[_CountsOfHits]:
    unique, place = np.unique(hits.rows, return_inverse=True)
    place = place.reshape(hits.rows.shape)
    values = _markers_of(catalogue, unique, system)
    for start in range(0, len(place), _CHUNK_OF_HITS):
        part = slice(start, start + _CHUNK_OF_HITS)
        shares, own = hits.weights[part], place[part]
        of_hits = values[own.ravel()].toarray().reshape(*own.shape, -1)
        yield _CountsOfHits(np.einsum("nk,nkg->ng", shares, of_hits, dtype=np.float64), of_hits, shares)


def _markers_of(catalogue: Catalogue, rows: npt.NDArray[np.int64], system: MarkerSystem) -> sp.csr_matrix:
    """Counts per 10,000 of the marker genes, float32 csr `(len(rows), n_markers)`."""
    parts = [
        per_10k(catalogue, rows[start : start + _READ_ROWS])[:, system.columns]
        for start in range(0, len(rows), _READ_ROWS)
    ]
    return sp.csr_matrix(sp.vstack(parts))
