"""How much each item is like each class: by the space, or by its own counts of the class's genes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from encoders.contracts import Modality, Vectors
from encoders.errors import GeneQueryError
from encoders.gene_matching import place_weights
from encoders.profiles import SymbolTable
from encoders.space import Space
from search.annotation.classes import BulkClasses, Classes, MarkerClasses
from search.catalogue import Catalogue, Rows
from search.errors import AnnotationError
from search.item_rows import vectors_of
from search.profiles import Doubles, log_per_10k

_FLAT = 1e-6  # standard deviation of log-expression below which a gene says nothing


class Scorer(Protocol):
    """Scores items against the classes."""

    def __call__(self, rows: Rows) -> Doubles:
        """Scores float64 `(len(rows), n_classes)`, higher for more alike."""


@dataclass(frozen=True, slots=True)
class SpaceScorer:
    """Cosine of each item with each class in the space."""

    catalogue: Catalogue
    side: Modality
    classes: Vectors

    def __call__(self, rows: Rows) -> Doubles:
        """Cosines float64 `(len(rows), n_classes)`."""
        return vectors_of(self.catalogue, rows, self.side).astype(np.float64) @ self.classes.T.astype(np.float64)


@dataclass(frozen=True, slots=True)
class CountsScorer:
    """Weighted mean over a class's genes of log-expression in standard deviations of some reference items.

    Attributes
    ----------
    columns : int64 (m,)
        Genes of the panel that any class names.
    weights : float64 (m, n_classes)
        Absolute values of a column sum to 1.
    mean, sd : float64 (m,)
        Of log-expression over the reference.
    """

    catalogue: Catalogue
    columns: Rows
    weights: Doubles
    mean: Doubles
    sd: Doubles

    def __call__(self, rows: Rows) -> Doubles:
        """Scores float64 `(len(rows), n_classes)`, in standard deviations."""
        return self.of_values(log_per_10k(self.catalogue, rows, self.columns).toarray().astype(np.float64))

    def of_values(self, values: Doubles) -> Doubles:
        """Scores of log-expression over `columns`, float64 `(n, m)`."""
        return np.asarray((values - self.mean) / self.sd @ self.weights)


def class_vectors(
    classes: Classes, catalogue: Catalogue, space: Callable[[], Space]
) -> tuple[Vectors, dict[str, tuple[str, ...]]]:
    """Unit vector of each class, float32 `(n_classes, dim)`, and the genes of each that the space does not know.

    Raises
    ------
    AnnotationError
        If the space knows no gene of a class.
    """
    if isinstance(classes, BulkClasses):
        if classes.counts is None:
            rows = [catalogue.row_of(item) for item in classes.items]
            return np.stack([catalogue.vector(row, "expression") for row in rows]), {}
        try:
            return space().expression.encode_counts(classes.counts, classes.genes).vectors, {}
        except GeneQueryError as error:
            raise AnnotationError(f"The bulk profiles cannot be placed in the space: {error}") from error
    vectors, unknown = [], {}
    for name, genes in classes.genes.items():
        try:
            encoded = space().expression.encode_list(genes)
        except GeneQueryError as error:
            raise AnnotationError(f"Class {name!r} cannot be placed in the space: {error}") from error
        vectors.append(encoded.vectors[0])
        unknown[name] = encoded.genes.unknown
    return np.stack(vectors), {name: genes for name, genes in unknown.items() if genes}


def counts_scorer(
    classes: MarkerClasses, catalogue: Catalogue, reference: Rows
) -> tuple[CountsScorer, Doubles, dict[str, tuple[str, ...]]]:
    """Scorer by own counts, standardised over reference items, their scores, and the genes that are not measured.

    Raises
    ------
    AnnotationError
        If no gene of a class is in the panel, or none varies over the reference.
    """
    table = SymbolTable(catalogue.index.genes)
    placed, unknown = [], {}
    for name, genes in classes.genes.items():
        try:
            weights, report = place_weights(table, genes.symbols, genes.weights)
        except GeneQueryError as error:
            raise AnnotationError(f"Class {name!r} cannot be read off the counts of this index: {error}") from error
        placed.append(weights.astype(np.float64))
        unknown[name] = report.unknown
    every = np.stack(placed, axis=1)
    columns = np.flatnonzero(np.abs(every).sum(axis=1))
    values = log_per_10k(catalogue, reference, columns).toarray().astype(np.float64)
    mean, sd = values.mean(axis=0), values.std(axis=0)
    weights = every[columns] * (sd > _FLAT)[:, None]
    totals = np.abs(weights).sum(axis=0)
    if (totals == 0).any():
        name = classes.names[int(np.argmin(totals))]
        raise AnnotationError(
            f"No gene of class {name!r} varies over the {len(reference):,} items compared; give others."
        )
    scorer = CountsScorer(catalogue, columns, weights / totals, mean, np.maximum(sd, _FLAT))
    return scorer, scorer.of_values(values), {name: genes for name, genes in unknown.items() if genes}
