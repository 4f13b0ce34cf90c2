"""Places of a slide that are asked about together, and the hits of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from encoders.contracts import Floats, Modality
from search.catalogue import Catalogue, Rows
from search.cells.manner import Source
from search.errors import QueryError
from search.expression.weighting import TEMPERATURE
from search.item_rows import vectors_of
from search.profiles import Doubles, has_counts
from search.query import ItemQuery, Query
from search.retrieval.filters import Exclude, scope_of
from search.state import State

_KINDS = ("tile", "spot", "cell")


@dataclass(frozen=True, slots=True)
class SlideQuestion:
    """Which places of a slide, and where their counts come from; see `Engine.decompose_slide`."""

    slide: str
    items: Sequence[str] | Query | None = None
    source: Source = "auto"
    k: int = 50
    where: str | None = None
    exclude: Exclude = "auto"

    def describe(self) -> dict[str, Any]:
        """JSON-ready form."""
        items = {} if self.items is None else {"items": _told(self.items)}
        return {"type": "slide", "slide": self.slide, **items, "source": self.source}


@dataclass(frozen=True, slots=True)
class HitsOfPlaces:
    """Hits of each place: rows int64 and weights float64 `(n, k)`, weight 0 where there are fewer; rows sum to 1."""

    rows: Rows
    weights: Doubles
    notes: tuple[str, ...]


def _told(items: Sequence[str] | Query) -> Any:
    return list(items) if isinstance(items, Sequence) else items.describe()


def rows_of_slide(state: State, question: SlideQuestion) -> Rows:
    """Tiles, spots and cells asked about, ascending.

    Raises
    ------
    ItemMissingError
        If the slide or an item is not in the index.
    QueryError
        If an item lies on another slide, or none is asked about.
    """
    catalogue = state.catalogue
    own = catalogue.slide_row(question.slide)
    if question.items is None:
        rows = catalogue.rows_where("slide", str(catalogue.value(own, "slide")))
        return rows[np.isin(catalogue.column("kind")[rows], _KINDS)]
    if isinstance(question.items, Sequence):
        rows = np.unique(catalogue.rows_of(question.items))
    else:
        rows = np.unique(np.array(state.encode(question.items).rows, dtype=np.int64))
    if not len(rows):
        raise QueryError("There are no items to decompose; name some of the slide, or leave them out for all.")
    elsewhere = rows[catalogue.column("slide")[rows] != question.slide]
    if len(elsewhere):
        raise QueryError(
            f"Item {catalogue.value(int(elsewhere[0]), 'id')!r} does not lie on slide {question.slide!r}; ask about "
            "the items of one slide at a time."
        )
    return rows


def places_of(state: State, question: SlideQuestion) -> tuple[Rows, Literal["counts", "hits"]]:
    """Rows that can be decomposed, and whether by their own counts or by those of their hits.

    Raises
    ------
    QueryError
        If no place has counts, or none has a vector to find hits with; and as in `rows_of_slide`.
    """
    catalogue, rows = state.catalogue, rows_of_slide(state, question)
    counted = rows[has_counts(catalogue)[rows]]
    if question.source == "counts" or (question.source == "auto" and len(counted)):
        if not len(counted):
            raise QueryError(
                f"No place of slide {question.slide!r} has counts; use source='hits' to decompose those of its hits."
            )
        return counted, "counts"
    return rows[catalogue.has(side_of(catalogue, rows, question))[rows]], "hits"


def side_of(catalogue: Catalogue, rows: Rows, question: SlideQuestion) -> Modality:
    """The side that places are asked with: the image where some have one."""
    side: Modality = "image" if catalogue.has("image")[rows].any() else "expression"
    if not catalogue.has(side)[rows].any():
        raise QueryError(f"No place of slide {question.slide!r} has an {side} vector, so none has hits.")
    return side


def hits_of(state: State, rows: Rows, question: SlideQuestion) -> HitsOfPlaces:
    """The nearest items with counts of each place, weighted as in `predict_expression`."""
    catalogue = state.catalogue
    side = side_of(catalogue, rows, question)
    first = state.encode(ItemQuery(str(catalogue.value(int(rows[0]), "id")), side))
    scope = scope_of(catalogue, first, "expression", where=question.where, exclude=question.exclude)
    itself = question.exclude == "none"
    allowed = (scope.base if itself else scope.mask) & has_counts(catalogue)
    if not allowed.any():
        raise QueryError("No item with counts is left to decompose from; loosen the filter or the exclusion.")
    near = catalogue.index.vectors("expression").search(
        vectors_of(catalogue, rows, side),
        question.k,
        allowed,
        without=[rows[i : i + 1] for i in range(len(rows))] if itself and side == "expression" else None,
    )
    notes = (f"From the counts of {near.rows.shape[1]} hits of each place, not from the places themselves.",)
    return HitsOfPlaces(np.maximum(near.rows, 0), _weights(near.scores), (*notes, *scope.notes))


def _weights(scores: Floats) -> Doubles:
    """Weights of descending scores `(n, k)`, -inf where there is no hit; rows sum to 1, or 0 without any."""
    heat = scores.astype(np.float64)
    weights = np.exp((heat - np.maximum(heat[:, :1], -1.0)) / TEMPERATURE)
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300))
