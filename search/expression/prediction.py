"""Expression of a query predicted from the measured profiles of its hits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from encoders.contracts import Floats
from search.catalogue import Catalogue, Rows
from search.encoding import EncodedQuery
from search.errors import QueryError
from search.expression.ridge import Ridge
from search.expression.temperature import Fit
from search.expression.weighting import MODES, NEIGHBOURS, TEMPERATURE, Mode, weights_of
from search.gene_names import names_of
from search.profiles import Doubles, has_counts, log_per_10k, weighted_moments
from search.result import Findings
from search.retrieval.retrieve import Retrieval


@dataclass(frozen=True, slots=True)
class Prediction(Findings):
    """Predicted expression, natural log of 1 + counts per 10,000.

    Columns: `gene`, `predicted`, `sd` (weighted, over the neighbours; null where weights are negative), `low`, `high`
    and `r` (interval, and correlation of predicted and measured over spots of other patients, where a coverage was
    asked for), `index_mean` (over all items with counts), `measured` (of the query itself where it has counts).

    Attributes
    ----------
    mode : {"softmax", "mean50", "raw", "mean", "ridge"}
        How it was predicted; see `Engine.predict_expression`.
    n_neighbours : int
        Items averaged; in mode `ridge` the spots it was fitted on.
    n_effective : float or None
        `(sum w)^2 / sum w^2`, the number of equally weighted neighbours that would be as noisy; none in mode `ridge`.
    coverage : float or None
        Share of new values that the intervals are to hold.
    temperature : float or None
        Of mode `softmax`: the cosine difference over which a weight falls by a factor e.
    r_chance : float or None
        Measured predictability `r` that chance alone exceeds one time in twenty, where it was measured.
    """

    mode: Mode
    n_neighbours: int
    n_effective: float | None
    coverage: float | None = None
    temperature: float | None = None
    r_chance: float | None = None

    def predictable(self) -> tuple[bool, ...]:
        """Whether each gene was predicted better than chance on other patients; true where that was not measured."""
        r = self.table.column("r").to_pylist()
        return tuple(self.r_chance is None or (value is not None and value > self.r_chance) for value in r)


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Items a value is averaged over: rows int64 `(n,)` and weights float64 `(n,)` that sum to 1."""

    rows: Rows
    weights: Doubles

    @property
    def n_effective(self) -> float:
        """Effective number of neighbours."""
        return float(1.0 / np.sum(self.weights**2))


def neighbourhood(retrieval: Retrieval, k: int, mode: Mode, temperature: float = TEMPERATURE) -> Neighbourhood:
    """Weigh the nearest items.

    `softmax`: the first k, weights proportional to `exp(score / temperature)`. `mean50`: plain mean of the first 50
    (Xie et al., BLEEP, NeurIPS 2023). `raw`: all items, weights proportional to the cosine itself, negative ones too
    (Chen et al., Loki PredEx, Nat Methods 2025: `S @ X / S.sum(1)`).

    Raises
    ------
    QueryError
        If the mode weighs no neighbours, there is none with counts, or the raw cosines cancel out.
    """
    check_mode(mode, NEIGHBOURS)
    rows, scores = retrieval.scored.rows, retrieval.scored.scores.astype(np.float64)
    if not len(rows):
        raise QueryError("No item with counts is left to predict from; loosen the filter or the exclusion.")
    if mode == "raw" and retrieval.scored.strategy != "exact":
        raise QueryError("Mode 'raw' averages over all items, which this index is too large for; use 'softmax'.")
    weights = weights_of(scores, k, mode, temperature)
    return Neighbourhood(rows[: len(weights)], weights)


def check_mode(mode: str, known: Sequence[Mode] = MODES) -> None:
    """Raise `QueryError` for a mode that is not among the known."""
    if mode not in known:
        raise QueryError(f"mode={mode!r} is not known; choose one of {', '.join(known)}.")


def predict(
    catalogue: Catalogue,
    query: EncodedQuery,
    retrieval: Retrieval,
    background: Doubles,
    *,
    genes: Sequence[str] | None,
    n_genes: int,
    mode: Mode,
    fit: Fit,
) -> Prediction:
    """Average the log-expression of the neighbours; see `Engine.predict_expression`."""
    if mode == "mean":
        near = everyone(catalogue, np.flatnonzero(retrieval.scope.mask))
    else:
        near = neighbourhood(retrieval, fit.k, mode, fit.temperature)
    mean, square = weighted_moments(catalogue, near.rows, near.weights)
    negative = bool((near.weights < 0).any())
    notes = [fit.said()] if mode == "softmax" else []
    if negative:
        notes.append("Some weights are negative, as mode 'raw' allows: no spread is given.")
    if near.n_effective < 1:
        notes.append("The weights nearly cancel out, so the values are far off any measured one; use 'softmax'.")
    sd = None if negative else np.sqrt(np.maximum(square - mean**2, 0.0))
    columns, said = chosen_genes(catalogue, genes, n_genes, mean - background)
    softmax = mode == "softmax"
    return Prediction(
        table=_table(catalogue, query, columns, mean, sd, background),
        query=retrieval.result.query | {"mode": mode} | ({"k": fit.k} if softmax else {}),
        notes=(*retrieval.scope.notes, *said, *notes, *catalogue.generated_note(near.rows)),
        mode=mode,
        n_neighbours=len(near.rows),
        n_effective=near.n_effective,
        temperature=fit.temperature if softmax else None,
    )


def everyone(catalogue: Catalogue, rows: Rows) -> Neighbourhood:
    """All items that may answer and have counts, weighted alike: mode `mean`, blind to the query.

    Raises
    ------
    QueryError
        If there is none.
    """
    rows = rows[has_counts(catalogue)[rows]]
    if not len(rows):
        raise QueryError("No item with counts is left to predict from; loosen the filter or the exclusion.")
    return Neighbourhood(rows, np.full(len(rows), 1 / len(rows)))


def predict_by_ridge(
    catalogue: Catalogue,
    query: EncodedQuery,
    ridge: Ridge,
    background: Doubles,
    *,
    genes: Sequence[str] | None,
    n_genes: int,
) -> Prediction:
    """Predict from the image vector of the query by a fitted regression; see `Engine.predict_expression`.

    Raises
    ------
    QueryError
        If the query is no image.
    """
    check_image(query.modality)
    mean = ridge.predict(query.vector[None])[0]
    columns, said = chosen_genes(catalogue, genes, n_genes, mean - background)
    return Prediction(
        table=_table(catalogue, query, columns, mean, ridge.sd, background),
        query=query.description | {"mode": "ridge"},
        notes=(*query.notes, *said, ridge.said()),
        mode="ridge",
        n_neighbours=ridge.n_spots,
        n_effective=None,
    )


def check_image(modality: str) -> None:
    """Raise `QueryError` unless a query of mode `ridge` is an image."""
    if modality != "image":
        raise QueryError(f"Mode 'ridge' reads image vectors, and this query is of {modality}; ask with a picture.")


def _table(
    catalogue: Catalogue, query: EncodedQuery, columns: Rows, mean: Doubles, sd: Doubles | None, background: Doubles
) -> pa.Table:
    nothing = pa.nulls(len(columns), pa.float32())
    symbols = catalogue.index.genes
    return pa.table(
        {
            "gene": pa.array([symbols[c] for c in columns], pa.string()),
            "predicted": pa.array(mean[columns], pa.float32()),
            "sd": nothing if sd is None else pa.array(sd[columns], pa.float32()),
            "low": nothing,
            "high": nothing,
            "r": nothing,
            "index_mean": pa.array(background[columns], pa.float32()),
            "measured": _measured(catalogue, query, columns),
        }
    )


def chosen_genes(
    catalogue: Catalogue, genes: Sequence[str] | None, n_genes: int, contrast: Doubles
) -> tuple[Rows, tuple[str, ...]]:
    """Columns of the genes asked for, or of those of highest contrast, and what the user should know.

    Raises
    ------
    QueryError
        If none of the genes is in the panel.
    """
    symbols = catalogue.index.genes
    if genes is None:
        order = np.argsort(-contrast, kind="stable")[:n_genes]
        return order, (f"The {len(order)} genes furthest above their mean over the index are shown.",)
    place = {symbol: column for column, symbol in enumerate(symbols)}
    names = names_of(symbols)
    read = names.read(list(dict.fromkeys(genes)))
    known = [place[gene] for gene in dict.fromkeys(read.names) if gene in place]
    unknown = [gene for gene in read.names if gene not in place]
    hints = (*read.notes(), *names.missing(read))
    if not known:
        raise QueryError(
            f"None of the genes asked for ({', '.join(unknown[:5]) or 'an empty list'}) is in the panel of "
            f"{len(symbols):,} genes, which holds {', '.join(symbols[:3])} and others. "
            f"{' '.join(hints) or 'Give symbols of the panel.'}"
        )
    notes = (f"Not in the panel: {', '.join(unknown)}.",) if unknown else ()
    return np.array(known, dtype=np.int64), (*notes, *hints)


def _measured(catalogue: Catalogue, query: EncodedQuery, columns: Rows) -> pa.Array:
    if query.row is None or not has_counts(catalogue)[query.row]:
        return pa.nulls(len(columns), pa.float32())
    own: Floats = log_per_10k(catalogue, np.array([query.row])).toarray()[0]
    return pa.array(own[columns], pa.float32())
