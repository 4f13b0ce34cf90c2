"""Which items may answer: kinds, the `where` text, and what is left out so that no answer leaks from the query."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from encoders.contracts import Modality
from indexer.errors import WhereError
from indexer.schema import ITEM_COLUMNS
from indexer.vectors.selection import Selection
from search.catalogue import Base, Catalogue, Mask, Own, Rows
from search.encoding import EncodedQuery
from search.errors import FilterError, QueryError

Exclude = Literal["auto", "none", "slide", "patient"]
KINDS = ("slide", "tile", "spot", "cell", "transcriptome")
_EXCLUDES = ("auto", "none", "slide", "patient")
DEFAULT_KINDS: dict[Modality, tuple[str, ...]] = {
    "image": ("tile", "spot"),
    "expression": ("spot", "cell", "transcriptome"),
}

_NO_ROWS: Rows = np.empty(0, dtype=np.int64)
_MOST_NAMED = 6  # slides left out that a note names
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SQL_WORD = re.compile(
    "and|or|not|in|like|ilike|is|null|between|true|false|escape|cast|as|case|when|then|else|end|distinct|from|"
    "string|varchar|float|double|int|integer|bigint|boolean",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Scope:
    """The items a query may be answered with.

    Attributes
    ----------
    kinds : tuple of str
        Kinds looked at.
    exclude : {"none", "slide", "patient"}
        What was left out, `auto` resolved.
    left_out : tuple of str
        The slides or patients left out.
    notes : tuple of str
        What was left out, in words.
    selection : Selection
        Allowed items that have a vector of the target modality, as places of the vectors.
    base : bool (n_items,)
        The same over the items, but for what was left out.
    gone : int64 (m,)
        Rows that were left out.
    """

    kinds: tuple[str, ...]
    exclude: Literal["none", "slide", "patient"]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    selection: Selection
    base: Mask
    gone: Rows

    @property
    def mask(self) -> Mask:
        """Allowed items that have a vector of the target modality, bool `(n_items,)`; made anew each time."""
        mask = self.base.copy()
        mask[self.gone] = False
        return mask


def scope_of(
    catalogue: Catalogue,
    query: EncodedQuery,
    target: Modality,
    *,
    kind: str | Sequence[str] | None = None,
    where: str | None = None,
    exclude: Exclude = "auto",
) -> Scope:
    """Find the items that may answer a query.

    Raises
    ------
    QueryError
        For an unknown kind or exclusion, or when slide or patient is to be left out of a query that has none.
    FilterError
        If the `where` text does not parse or names an unknown column.
    """
    kinds, base = base_of(catalogue, query, target, kind=kind, where=where)
    left = left_out_of(catalogue, query, target, base, exclude)
    selection = base.selection
    if left.own is not None and len(left.rows) == len(left.own.gone):
        selection = left.own.selection
    elif len(left.rows):
        vectors = catalogue.index.vectors(target)
        condition = None if left.own is None else left.own.condition
        selection = selection.without(vectors.places_of(left.rows), vectors.list_places, condition)
    return Scope(kinds, left.exclude, left.names, (*query.notes, *left.notes), selection, base.mask, left.rows)


def base_of(
    catalogue: Catalogue,
    query: EncodedQuery,
    target: Modality,
    *,
    kind: str | Sequence[str] | None = None,
    where: str | None = None,
) -> tuple[tuple[str, ...], Base]:
    """The kinds looked at for a query, and the items that may answer it before its own are left out."""
    kinds = _kinds(kind, query, target)
    return kinds, _base(catalogue, target, kinds, where)


class LeftOut(NamedTuple):
    """What is left out for a query.

    Attributes
    ----------
    exclude : {"none", "slide", "patient"}
        `auto` resolved.
    names : tuple of str
        Slides or patients.
    rows : int64 (m,)
        Rows of the index that the base allows, ascending.
    notes : tuple of str
        That in words.
    own : Own, optional
        What those slides or patients hold: all of `rows` but for examples elsewhere.
    """

    exclude: Literal["none", "slide", "patient"]
    names: tuple[str, ...]
    rows: Rows
    notes: tuple[str, ...]
    own: Own | None = None


def left_out_of(catalogue: Catalogue, query: EncodedQuery, target: Modality, base: Base, exclude: Exclude) -> LeftOut:
    """Find what no answer to a query may be."""
    resolved = _resolve(exclude, query)
    names = {"none": (), "slide": query.slides, "patient": query.patients}[resolved]
    itself = np.unique(np.array(query.rows, dtype=np.int64)) if query.modality == target and query.rows else _NO_ROWS
    if resolved == "none" or not names:
        what = "The query item itself is" if len(itself) == 1 else f"The {len(itself):,} items of the query are"
        return LeftOut(resolved, (), itself[base.mask[itself]], (f"{what} left out.",) if len(itself) else ())
    own = catalogue.own(base, resolved, names)
    gone = own.gone
    said = f"Own {_told(resolved, names)} left out ({len(gone):,} items)"
    # Those of other slides only moved the query.
    examples = own.others(itself)
    if len(examples):
        said += f", and {'the example' if len(examples) == 1 else f'the {len(examples):,} examples'} elsewhere"
        gone = np.union1d(gone, examples[base.mask[examples]])
    return LeftOut(resolved, names, gone, (f"{said}.",), own)


def _told(what: str, names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return f"{what} {names[0]!r}"
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return f"{what}s {', '.join(map(repr, names[:_MOST_NAMED]))}{more}"


def candidates(catalogue: Catalogue, target: Modality, kinds: Sequence[str], where: str | None) -> Mask:
    """Items of some kinds with a vector of the target modality that a `where` text allows, bool `(n_items,)`."""
    return _base(catalogue, target, kinds, where).mask.copy()


def _base(catalogue: Catalogue, target: Modality, kinds: Sequence[str], where: str | None) -> Base:
    return catalogue.base(target, kinds, where, lambda text: where_mask(catalogue, text))


def where_mask(catalogue: Catalogue, where: str) -> Mask:
    """Items a `where` text allows, bool `(n_items,)`; raises `FilterError`."""
    check_where(where)
    try:
        return np.asarray(catalogue.index.filter_rows(where), dtype=bool)
    except WhereError as error:
        raise FilterError(f"Cannot filter by {where!r}: {error} {_columns_hint()}") from error


def check_where(where: str) -> None:
    """Raise `FilterError` unless the text is one SQL condition over the columns of an item."""
    rest = _LITERAL.sub("''", where)
    if not rest.strip():
        raise FilterError(f"The filter is empty; leave it out, or write a condition. {_columns_hint()}")
    if rest.replace("''", "").count("'"):
        raise FilterError(f"The filter {where!r} has an unclosed quote; write text as 'text'. {_columns_hint()}")
    if ";" in rest or "--" in rest or "/*" in rest:
        raise FilterError(
            f"The filter {where!r} holds a statement or comment; expected one condition. {_columns_hint()}"
        )
    for word in _WORD.finditer(rest):
        name = word.group()
        is_call = rest[word.end() :].lstrip().startswith("(")
        if name in ITEM_COLUMNS or _SQL_WORD.fullmatch(name) or is_call:
            continue
        raise FilterError(
            f"The filter {where!r} names {name!r}, which is no column (text goes in 'quotes'). {_columns_hint()}"
        )


def _columns_hint() -> str:
    return f"Columns: {', '.join(ITEM_COLUMNS)}."


def _kinds(kind: str | Sequence[str] | None, query: EncodedQuery, target: Modality) -> tuple[str, ...]:
    if kind is None:
        return ("slide",) if query.whole_slide else DEFAULT_KINDS[target]
    kinds = (kind,) if isinstance(kind, str) else tuple(kind)
    unknown = [name for name in kinds if name not in KINDS]
    if unknown or not kinds:
        raise QueryError(f"Unknown kind {', '.join(map(repr, unknown)) or 'list ()'}; known: {', '.join(KINDS)}.")
    return kinds


def _resolve(exclude: Exclude, query: EncodedQuery) -> Literal["none", "slide", "patient"]:
    if exclude not in _EXCLUDES:
        raise QueryError(f"exclude={exclude!r} is not known; choose one of {', '.join(_EXCLUDES)}.")
    if not query.slides:
        if exclude in ("slide", "patient"):
            raise QueryError(f"exclude={exclude!r} needs a query from a slide of the index; this one has none.")
        return "none"
    if exclude == "auto":
        return "patient" if query.whole_slide else "slide"
    return exclude
