"""The cell types of a query as an answer: from its own counts, or from those of its hits, with their spread."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from indexer.genes.panel import sum_duplicates
from search.catalogue import Catalogue, Rows
from search.cells.decomposition import (
    MIN_SCALE_ROWS,
    MarkerSystem,
    ShareOf,
    amounts_of,
    gene_scales,
    marker_system,
    shares_of,
)
from search.cells.manner import Manner, Method
from search.cells.reference import CellReference
from search.errors import QueryError
from search.expression.prediction import neighbourhood
from search.gene_names import names_of
from search.profiles import PER, Doubles, has_counts, per_10k
from search.query import GroupQuery, ItemQuery, ProfileQuery, Query, RegionQuery, SlideQuery
from search.result import Findings
from search.retrieval.retrieve import Retrieval
from search.state import State

_FEW_GENES = 20
_N_SCALE_ROWS = 300
_N_BOOTSTRAP = 100
_INTERVAL = (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class Composition(Findings):
    """Cell types of a query: columns `type`, `proportion` (they sum to 1), `sd`, `low`, `high`, `n_cells`.

    `sd` and the 90 % interval `low` to `high` come from 100 bootstrap samples: of the counts, or of the hits. `n_cells`
    is the number of reference cells behind the type.

    Attributes
    ----------
    source : {"counts", "hits", "vectors"}
        Whether the query's own counts were decomposed, those of its hits, or its vector compared with cells.
    method : {"reweighted", "plain", "votes"}
        See `search.cells.manner.Manner`.
    of : {"cells", "rna"}
        What the proportions are shares of.
    n_markers : int
        Genes used; the dimensions of the space for votes.
    fit : float
        Pearson correlation of fitted and observed counts per 10,000 over these genes, both as log(1 + x); for votes,
        the mean cosine of the cells that voted.
    coarse : tuple of dict
        Rows of the same columns for the coarser types of the reference, of which the shares are the sums; empty if it
        has none.
    n_effective : float or None
        For votes, how many equally weighted cells would be as noisy.
    """

    source: Literal["counts", "hits", "vectors"]
    method: Method
    of: ShareOf
    n_markers: int
    fit: float
    coarse: tuple[dict[str, Any], ...] = ()
    n_effective: float | None = None


@dataclass(frozen=True, slots=True)
class OwnProfile:
    """Counts that come with a query.

    Attributes
    ----------
    per_10k : float64 (n_genes,)
        Counts per 10,000.
    total : float
        All counts.
    genes : sequence of str
        Symbols.
    description : dict
        The query in words.
    slide : str or None
        The slide they lie on.
    """

    per_10k: Doubles
    total: float
    genes: Sequence[str]
    description: dict[str, Any]
    slide: str | None = None
    notes: tuple[str, ...] = ()


def own_profile(state: State, query: Query, known: tuple[str, ...], *, forced: bool) -> OwnProfile | None:
    """Counts of the query itself, or `None` if its hits are to speak for it.

    Parameters
    ----------
    state : State
        The index.
    query : Query
        Items and slides of the index, regions and groups of items, and profiles, may have counts.
    known : tuple of str
        Symbols that the genes of a profile are to be read as, where it has them by other names.
    forced : bool
        Whether counts are wanted even of a query that asks with its image; without any, `QueryError`.
    """
    if isinstance(query, ProfileQuery):
        counts = np.asarray(query.counts, dtype=np.float64)
        if counts.shape != (len(query.genes),) or not np.isfinite(counts).all() or counts.min() < 0 or not counts.any():
            raise QueryError("The profile needs one raw count per gene, none negative, and not all zero.")
        return _given(query, counts, known)
    catalogue = state.catalogue
    if isinstance(query, RegionQuery | GroupQuery) and (forced or query.using != "image"):
        rows = np.unique(np.array(state.encode(query).rows, dtype=np.int64))
        rows = rows[has_counts(catalogue)[rows]]
        if len(rows):
            return _pooled(catalogue, query, rows)
    if isinstance(query, ItemQuery | SlideQuery) and (forced or query.using != "image"):
        row = catalogue.row_of(query.id) if isinstance(query, ItemQuery) else catalogue.slide_row(query.slide)
        if has_counts(catalogue)[row]:
            values = per_10k(catalogue, np.array([row])).toarray()[0].astype(np.float64)
            asked = query.describe() | {"using": "expression"}
            total, slide = float(catalogue.column("total_counts")[row]), str(catalogue.column("slide")[row])
            notes = catalogue.generated_note(np.array([row]))
            return OwnProfile(values, total, catalogue.index.genes, asked, slide, notes)
    if forced:
        raise QueryError("The query has no counts of its own; use source='hits' to decompose those of its hits.")
    return None


def _given(query: ProfileQuery, counts: Doubles, known: tuple[str, ...]) -> OwnProfile:
    """The counts of a profile from outside the index, those of names of one gene added up."""
    read = names_of(known).read(query.genes)
    summed, genes, _ = sum_duplicates(sp.csr_matrix(counts[None]), read.names)
    total = float(counts.sum())
    return OwnProfile(PER * summed.toarray()[0] / total, total, genes, query.describe(), notes=read.notes())


def _pooled(catalogue: Catalogue, query: Query, rows: Rows) -> OwnProfile:
    """The counts of several items together."""
    total = float(catalogue.column("total_counts")[rows].astype(np.float64).sum())
    summed = np.asarray(catalogue.index.expression(rows).sum(axis=0), dtype=np.float64).ravel()
    slides = sorted({str(slide) for slide in catalogue.column("slide")[rows]})
    notes = (f"The counts of {len(rows):,} items together.", *catalogue.generated_note(rows))
    slide = slides[0] if len(slides) == 1 else None
    asked = query.describe() | {"using": "expression"}
    return OwnProfile(PER * summed / total, total, catalogue.index.genes, asked, slide, notes)


def decompose_counts(
    catalogue: Catalogue, profile: OwnProfile, reference: CellReference, manner: Manner
) -> Composition:
    """Decompose the counts of the query itself; the spread is that of counting."""
    system = marker_system(reference, profile.genes, markers=manner.markers)
    values = profile.per_10k[system.columns]
    per_count = PER / profile.total
    resampled = np.random.default_rng(0).poisson(values / per_count, (_N_BOOTSTRAP, len(values))) * per_count
    slides = [] if profile.slide is None else [profile.slide]
    scales = slide_scales(catalogue, system, slides)
    origin = _Origin("counts", profile.description, profile.notes)
    return _answer(reference, system, np.vstack([values, resampled]), scales, manner, origin)


def decompose_hits(
    catalogue: Catalogue, near: Retrieval, reference: CellReference, *, k: int, manner: Manner
) -> Composition:
    """Decompose the weighted mean profile of the first `k` hits; the spread is that of which hits there are."""
    hits = neighbourhood(near, k, "softmax")
    system = marker_system(reference, catalogue.index.genes, markers=manner.markers)
    values = per_10k(catalogue, hits.rows, system.columns).toarray().astype(np.float64)
    # The Bayesian bootstrap (Rubin, Ann Stat 1981): hits are reweighted rather than left out or doubled.
    weights = hits.weights * np.random.default_rng(0).exponential(size=(_N_BOOTSTRAP, len(hits.rows)))
    pooled = np.vstack([hits.weights, weights / weights.sum(axis=1, keepdims=True)]) @ values
    scales = slide_scales(catalogue, system, sorted({str(slide) for slide in catalogue.column("slide")[hits.rows]}))
    notes = (
        f"From the counts of {len(hits.rows)} hits, not from the query itself.",
        *near.scope.notes,
        *catalogue.generated_note(hits.rows),
    )
    origin = _Origin("hits", near.result.query | {"k": k, "source": "hits"}, notes)
    return _answer(reference, system, pooled, scales, manner, origin)


@dataclass(frozen=True, slots=True)
class _Origin:
    source: Literal["counts", "hits"]
    query: dict[str, Any]
    notes: tuple[str, ...]


def slide_scales(catalogue: Catalogue, system: MarkerSystem, slides: Sequence[str]) -> Doubles | None:
    """Factors of the genes on some slides, from at most 300 of their spots and cells."""
    there = has_counts(catalogue) & np.isin(catalogue.column("slide"), slides) & (catalogue.column("kind") != "slide")
    rows: Rows = np.flatnonzero(there)
    some = rows[:: max(1, -(-len(rows) // _N_SCALE_ROWS))]
    values = per_10k(catalogue, some, system.columns).toarray().astype(np.float64)
    return gene_scales(system, values)


def _answer(
    reference: CellReference,
    system: MarkerSystem,
    values: Doubles,
    scales: Doubles | None,
    manner: Manner,
    origin: _Origin,
) -> Composition:
    """Compose the answer; the first row of `values` is the query, the others are its bootstrap samples."""
    amounts = amounts_of(system, values, method=manner.weighting, scales=scales)
    shares = shares_of(system, amounts, manner.of)
    if not shares[0].any():
        raise QueryError(f"None of the {len(system.genes)} marker genes has a count here, so no cell type can be told.")
    fitted = amounts[0] @ (system.profiles if scales is None else system.profiles * scales)
    return Composition(
        table=shares_table(reference.types, shares, reference.n_cells),
        query=origin.query,
        notes=(*origin.notes, *cautions(reference, system, scales, manner)),
        source=origin.source,
        method=manner.method,
        of=manner.of,
        n_markers=len(system.genes),
        fit=_fit(fitted, values[0]),
        coarse=coarse_rows(reference.parents, reference.n_cells, shares),
    )


def shares_table(types: Sequence[str], shares: Doubles, n_cells: Sequence[int]) -> pa.Table:
    """Types by their share, the first row of `shares`; its other rows are the bootstrap samples."""
    low, high = np.quantile(shares[1:], _INTERVAL, axis=0)
    table = pa.table(
        {
            "type": pa.array(types),
            "proportion": pa.array(shares[0]),
            "sd": pa.array(shares[1:].std(axis=0), pa.float32()),
            "low": pa.array(np.minimum(low, shares[0]), pa.float32()),
            "high": pa.array(np.maximum(high, shares[0]), pa.float32()),
            "n_cells": pa.array(n_cells, pa.int32()),
        }
    )
    return table.sort_by([("proportion", "descending"), ("type", "ascending")])


def coarse_rows(parents: Sequence[str], n_cells: Sequence[int], shares: Doubles) -> tuple[dict[str, Any], ...]:
    """Rows of `shares_table` for the coarser types, none without any."""
    if not parents:
        return ()
    names = sorted(set(parents))
    member = np.array([[parent == name for name in names] for parent in parents], dtype=np.int64)
    cells = (np.array(n_cells, dtype=np.int64) @ member).tolist()
    return tuple(shares_table(names, shares @ member, cells).to_pylist())


def cautions(reference: CellReference, system: MarkerSystem, scales: Doubles | None, manner: Manner) -> tuple[str, ...]:
    """Sentences on what a reference and the genes it shares allow."""
    notes = []
    if reference.dropped:
        notes.append(f"Types left out of the reference for too few cells: {', '.join(reference.dropped)}.")
    if len(system.genes) < _FEW_GENES:
        notes.append(f"Only {len(system.genes)} marker genes are shared: the proportions are rough.")
    if scales is None:
        notes.append(
            f"Fewer than {MIN_SCALE_ROWS} items with counts on the slide: how strongly each gene is read here, against "
            "the reference, was not fitted."
        )
    if manner.of == "rna":
        notes.append("Shares are of the RNA; a type whose cells hold more RNA has a smaller share of the cells.")
    return tuple(notes)


def _fit(fitted: Doubles, observed: Doubles) -> float:
    a, b = np.log1p(fitted), np.log1p(observed)
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0
