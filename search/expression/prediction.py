"""Expression of a query predicted from the measured profiles of its hits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from encoders.contracts import Floats
from search.catalogue import Catalogue, Rows
from search.encoding import EncodedQuery
from search.errors import QueryError
from search.profiles import Doubles, has_counts, log_per_10k, weighted_moments
from search.result import Findings
from search.retrieval.retrieve import Retrieval

Mode = Literal["softmax", "mean50", "raw"]
MODES: tuple[Mode, ...] = ("softmax", "mean50", "raw")
TEMPERATURE = 0.1  # cosine difference over which the weight of a neighbour falls by a factor e
PREDICTION_K = 500  # neighbours in mode softmax; their weights fall off by themselves
_MEAN_K = 50  # BLEEP's number of neighbours
_TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Prediction(Findings):
    """Predicted expression, natural log of 1 + counts per 10,000.

    Columns: `gene`, `predicted`, `sd` (weighted, over the neighbours; null where weights are negative), `low`, `high`
    and `r` (interval, and correlation of predicted and measured over spots of other patients, where a coverage was
    asked for), `index_mean` (over all items with counts), `measured` (of the query itself where it has counts).

    Attributes
    ----------
    mode : {"softmax", "mean50", "raw"}
        How neighbours were weighted.
    n_neighbours : int
        Items averaged.
    n_effective : float
        `(sum w)^2 / sum w^2`, the number of equally weighted neighbours that would be as noisy.
    coverage : float or None
        Share of new values that the intervals are to hold.
    """

    mode: Mode
    n_neighbours: int
    n_effective: float
    coverage: float | None = None


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Items a value is averaged over: rows int64 `(n,)` and weights float64 `(n,)` that sum to 1."""

    rows: Rows
    weights: Doubles

    @property
    def n_effective(self) -> float:
        """Effective number of neighbours."""
        return float(1.0 / np.sum(self.weights**2))


def neighbourhood(retrieval: Retrieval, k: int, mode: Mode) -> Neighbourhood:
    """Weigh the nearest items.

    `softmax`: the first k, weights proportional to `exp(score / TEMPERATURE)`. `mean50`: plain mean of the first 50
    (Xie et al., BLEEP, NeurIPS 2023). `raw`: all items, weights proportional to the cosine itself, negative ones too
    (Chen et al., Loki PredEx, Nat Methods 2025: `S @ X / S.sum(1)`).

    Raises
    ------
    QueryError
        If the mode is not known, there is no neighbour with counts, or the raw cosines cancel out.
    """
    if mode not in MODES:
        raise QueryError(f"mode={mode!r} is not known; choose one of {', '.join(MODES)}.")
    rows, scores = retrieval.scored.rows, retrieval.scored.scores.astype(np.float64)
    if not len(rows):
        raise QueryError("No item with counts is left to predict from; loosen the filter or the exclusion.")
    if mode == "raw" and retrieval.scored.strategy != "exact":
        raise QueryError("Mode 'raw' averages over all items, which this index is too large for; use 'softmax'.")
    weights = weights_of(scores, k, mode)
    return Neighbourhood(rows[: len(weights)], weights)


def weights_of(scores: Doubles, k: int, mode: Mode) -> Doubles:
    """Weights of the neighbours that a mode averages over, float64, of descending `scores`; they sum to 1.

    Raises
    ------
    QueryError
        If the raw cosines cancel out.
    """
    if mode == "raw":
        total = scores.sum()
        if abs(total) < _TINY * len(scores):
            raise QueryError("The cosines of the query cancel out, so mode 'raw' has no weights; use 'softmax'.")
        return np.asarray(scores / total)
    scores = scores[: _MEAN_K if mode == "mean50" else k]
    heat = np.zeros_like(scores) if mode == "mean50" else (scores - scores[0]) / TEMPERATURE
    weights = np.exp(heat)
    return np.asarray(weights / weights.sum())


def predict(
    catalogue: Catalogue,
    query: EncodedQuery,
    retrieval: Retrieval,
    background: Doubles,
    *,
    genes: Sequence[str] | None,
    n_genes: int,
    k: int,
    mode: Mode,
) -> Prediction:
    """Average the log-expression of the neighbours; see `Engine.predict_expression`."""
    near = neighbourhood(retrieval, k, mode)
    mean, square = weighted_moments(catalogue, near.rows, near.weights)
    columns, notes = _chosen(catalogue, genes, n_genes, mean - background)
    negative = bool((near.weights < 0).any())
    if negative:
        notes = (*notes, "Some weights are negative, as mode 'raw' allows: no spread is given.")
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))[columns]
    symbols = catalogue.index.genes
    table = pa.table(
        {
            "gene": pa.array([symbols[c] for c in columns], pa.string()),
            "predicted": pa.array(mean[columns], pa.float32()),
            "sd": pa.nulls(len(columns), pa.float32()) if negative else pa.array(spread, pa.float32()),
            "low": pa.nulls(len(columns), pa.float32()),
            "high": pa.nulls(len(columns), pa.float32()),
            "r": pa.nulls(len(columns), pa.float32()),
            "index_mean": pa.array(background[columns], pa.float32()),
            "measured": _measured(catalogue, query, columns),
        }
    )
    if near.n_effective < 1:
        notes = (*notes, "The weights nearly cancel out, so the values are far off any measured one; use 'softmax'.")
    return Prediction(
        table=table,
        query=retrieval.result.query | {"k": k, "mode": mode},
        notes=(*retrieval.scope.notes, *notes, *catalogue.generated_note(near.rows)),
        mode=mode,
        n_neighbours=len(near.rows),
        n_effective=near.n_effective,
    )


def _chosen(
    catalogue: Catalogue, genes: Sequence[str] | None, n_genes: int, contrast: Doubles
) -> tuple[npt.NDArray[np.intp], tuple[str, ...]]:
    symbols = catalogue.index.genes
    if genes is None:
        order = np.argsort(-contrast, kind="stable")[:n_genes]
        return order, (f"The {len(order)} genes furthest above their mean over the index are shown.",)
    place = {symbol: column for column, symbol in enumerate(symbols)}
    known = [place[gene] for gene in dict.fromkeys(genes) if gene in place]
    unknown = [gene for gene in dict.fromkeys(genes) if gene not in place]
    if not known:
        raise QueryError(
            f"None of the genes asked for ({', '.join(unknown[:5]) or 'an empty list'}) is in the panel of "
            f"{len(symbols):,} genes, which holds {', '.join(symbols[:3])} and others. Give symbols of the panel."
        )
    notes = (f"Not in the panel: {', '.join(unknown)}.",) if unknown else ()
    return np.array(known, dtype=np.intp), notes


def _measured(catalogue: Catalogue, query: EncodedQuery, columns: npt.NDArray[np.intp]) -> pa.Array:
    if query.row is None or not has_counts(catalogue)[query.row]:
        return pa.nulls(len(columns), pa.float32())
    own: Floats = log_per_10k(catalogue, np.array([query.row])).toarray()[0]
    return pa.array(own[columns], pa.float32())
