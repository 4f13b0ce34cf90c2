"""The cell types of a query as an answer: from its own counts, or from those of its hits with their spread."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from search.catalogue import Catalogue
from search.decomposition import METHODS, MarkerSystem, Method, marker_system, proportions
from search.errors import QueryError
from search.prediction import neighbourhood
from search.profiles import PER, Doubles, has_counts, per_10k
from search.query import ItemQuery, ProfileQuery, Query, SlideQuery
from search.reference import CellReference
from search.result import Findings
from search.retrieval import Retrieval

Source = Literal["auto", "counts", "hits"]
_FEW_GENES = 20


@dataclass(frozen=True, slots=True)
class Composition(Findings):
    """Cell types of a query: columns `type`, `proportion` (they sum to 1), `sd` (over the hits), `n_cells`.

    `n_cells` is the number of reference cells behind the type; `sd` is null where the proportions come from counts.

    Attributes
    ----------
    source : {"counts", "hits"}
        Whether the query's own counts were decomposed, or those of its hits.
    method : {"reweighted", "plain"}
        See `proportions`.
    n_markers : int
        Genes used.
    fit : float
        Pearson correlation of fitted and observed counts per 10,000 over these genes, both as log(1 + x).
    """

    source: Literal["counts", "hits"]
    method: Method
    n_markers: int
    fit: float


@dataclass(frozen=True, slots=True)
class OwnProfile:
    """Counts that come with a query: counts per 10,000 float64 `(n_genes,)`, symbols, the query in words, notes."""

    per_10k: Doubles
    genes: Sequence[str]
    description: dict[str, Any]
    notes: tuple[str, ...] = ()


def own_profile(catalogue: Catalogue, query: Query, *, forced: bool) -> OwnProfile | None:
    """Counts of the query itself, or `None` if its hits are to speak for it.

    Parameters
    ----------
    catalogue : Catalogue
        Items of the index.
    query : Query
        Items and slides of the index, and profiles, may have counts.
    forced : bool
        Whether counts are wanted even of a query that asks with its image; without any, `QueryError`.
    """
    if isinstance(query, ProfileQuery):
        counts = np.asarray(query.counts, dtype=np.float64)
        if counts.shape != (len(query.genes),) or not np.isfinite(counts).all() or counts.min() < 0 or not counts.any():
            raise QueryError("The profile needs one raw count per gene, none negative, and not all zero.")
        return OwnProfile(PER * counts / counts.sum(), query.genes, query.describe())
    if isinstance(query, ItemQuery | SlideQuery) and (forced or query.using != "image"):
        row = catalogue.row_of(query.id) if isinstance(query, ItemQuery) else catalogue.slide_row(query.slide)
        if has_counts(catalogue)[row]:
            values = per_10k(catalogue, np.array([row])).toarray()[0].astype(np.float64)
            asked = query.describe() | {"using": "expression"}
            return OwnProfile(values, catalogue.index.genes, asked, catalogue.generated_note(np.array([row])))
    if forced:
        raise QueryError("The query has no counts of its own; use source='hits' to decompose those of its hits.")
    return None


def decompose_counts(
    profile: OwnProfile, reference: CellReference, *, markers: Sequence[str] | None, method: Method
) -> Composition:
    """Decompose the counts of the query itself."""
    system = marker_system(reference, profile.genes, markers=markers)
    values = profile.per_10k[system.columns][None, :]
    return _answer(reference, system, values, None, method=method, query=profile.description, notes=profile.notes)


def decompose_hits(
    catalogue: Catalogue,
    near: Retrieval,
    reference: CellReference,
    *,
    k: int,
    markers: Sequence[str] | None,
    method: Method,
) -> Composition:
    """Decompose the weighted mean profile of the first `k` hits; the spread is that of the hits' own proportions."""
    hits = neighbourhood(near, k, "softmax")
    system = marker_system(reference, catalogue.index.genes, markers=markers)
    values = per_10k(catalogue, hits.rows)[:, system.columns].toarray().astype(np.float64)
    query = near.result.query | {"k": k, "source": "hits"}
    notes = (
        f"From the counts of {len(hits.rows)} hits, not from the query itself.",
        *near.scope.notes,
        *catalogue.generated_note(hits.rows),
    )
    return _answer(reference, system, values, hits.weights, method=method, query=query, notes=notes)


def _answer(
    reference: CellReference,
    system: MarkerSystem,
    values: Doubles,
    weights: Doubles | None,
    *,
    method: Method,
    query: dict[str, Any],
    notes: tuple[str, ...],
) -> Composition:
    if method not in METHODS:
        raise QueryError(f"method={method!r} is not known; choose one of {', '.join(METHODS)}.")
    pooled = values[0] if weights is None else weights @ values
    shares = proportions(system, pooled[None, :], method=method)[0]
    if not shares.any():
        raise QueryError(f"None of the {len(system.genes)} marker genes has a count here, so no cell type can be told.")
    spread = pa.nulls(len(shares), pa.float32())
    if weights is not None:
        each = proportions(system, values, method=method)
        spread = pa.array(np.sqrt(weights @ (each - weights @ each) ** 2), pa.float32())
    table = pa.table(
        {
            "type": pa.array(reference.types),
            "proportion": pa.array(shares),
            "sd": spread,
            "n_cells": pa.array(reference.n_cells, pa.int32()),
        }
    )
    return Composition(
        table=table.sort_by([("proportion", "descending"), ("type", "ascending")]),
        query=query,
        notes=(*notes, *_cautions(reference, system)),
        source="counts" if weights is None else "hits",
        method=method,
        n_markers=len(system.genes),
        fit=_fit(shares @ system.profiles, pooled),
    )


def _cautions(reference: CellReference, system: MarkerSystem) -> tuple[str, ...]:
    notes = []
    if reference.dropped:
        notes.append(f"Types left out of the reference for too few cells: {', '.join(reference.dropped)}.")
    if len(system.genes) < _FEW_GENES:
        notes.append(f"Only {len(system.genes)} marker genes are shared: the proportions are rough.")
    return tuple(notes)


def _fit(fitted: Doubles, observed: Doubles) -> float:
    a, b = np.log1p(fitted), np.log1p(observed)
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0
