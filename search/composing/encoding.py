"""Any query to a vector, also those made of others: examples, weighted parts, a region, a group."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from encoders.contracts import GeneReport
from encoders.space import Space
from search.catalogue import Catalogue
from search.composing.groups import encode_group
from search.composing.regions import encode_region
from search.composing.sums import Part, summed
from search.encoding import EncodedQuery, encode_query
from search.errors import QueryError
from search.query import ComposedQuery, ExamplesQuery, GroupQuery, Query, RegionQuery

OpenSpace = Callable[[], Space]
_MOST_PARTS = 1_000


def encode(query: Query, catalogue: Catalogue, space: OpenSpace) -> EncodedQuery:
    """Turn a query into a unit vector.

    Parameters
    ----------
    query : Query
        What was asked.
    catalogue : Catalogue
        Items of the index.
    space : callable
        Opens the space; called only for what is not in the index.

    Raises
    ------
    QueryError
        If it cannot be asked: also for parts that cancel, weights that are no numbers, a region with nothing inside.
    ItemMissingError, GeneQueryError, FilterError
        As for its parts.
    """
    match query:
        case ExamplesQuery():
            return _from_examples(query, catalogue, space)
        case ComposedQuery():
            return _from_parts(query, catalogue, space)
        case RegionQuery():
            return encode_region(query, catalogue)
        case GroupQuery():
            return encode_group(query, catalogue)
        case _:
            return encode_query(query, catalogue, space)


def _from_examples(query: ExamplesQuery, catalogue: Catalogue, space: OpenSpace) -> EncodedQuery:
    weights = np.asarray(query.weights, dtype=np.float64)
    if weights.shape != (3,) or not np.isfinite(weights).all() or (weights < 0).any():
        raise QueryError(f"The weights of query, like and unlike are {query.weights}; expected three, none below 0.")
    if query.start is None and not query.like:
        raise QueryError("There is nothing to look for: give a query, or at least one example of what is right.")
    a, b, c = weights.tolist()
    start = [] if query.start is None else [query.start]
    shares = [(a, start), (b / max(len(query.like), 1), query.like), (-c / max(len(query.unlike), 1), query.unlike)]
    parts = [Part(encode(one, catalogue, space), weight) for weight, group in shares for one in group]
    _check_number(len(parts))
    examples = {"like": len(query.like), "unlike": len(query.unlike)}
    told = ", ".join(f"{n} {name}" for name, n in examples.items() if n)
    note = f"Moved by examples ({told}; weights {a:g}, {b:g}, {c:g})." if told else ""
    moved = _joined(parts, query.describe(), catalogue, (note,) if note else ())
    if query.start is None:  # the examples are the question
        return moved
    own = parts[0].encoded
    return replace(moved, slides=own.slides, patients=own.patients)


def _from_parts(query: ComposedQuery, catalogue: Catalogue, space: OpenSpace) -> EncodedQuery:
    if len(query.parts) < 2:
        raise QueryError(f"A composed query has at least two parts; got {len(query.parts)}.")
    weights = (1.0,) * len(query.parts) if query.weights is None else query.weights
    if len(weights) != len(query.parts):
        raise QueryError(f"Got {len(weights)} weights for {len(query.parts)} parts; give one each, or none.")
    if not np.isfinite(weights).all() or not all(weights):
        raise QueryError(f"The weights of the parts are {list(weights)}; expected finite numbers other than 0.")
    _check_number(len(weights))
    parts = [Part(encode(one, catalogue, space), w) for one, w in zip(query.parts, weights, strict=True)]
    return _joined(parts, query.describe(), catalogue, ())


def _check_number(n: int) -> None:
    if n > _MOST_PARTS:
        raise QueryError(f"The query has {n:,} parts; at most {_MOST_PARTS:,} are read. Use a group for more items.")


def _joined(
    parts: Sequence[Part], description: dict[str, Any], catalogue: Catalogue, notes: tuple[str, ...]
) -> EncodedQuery:
    """The sum of parts, from wherever they come."""
    vector, how = summed(parts, catalogue)
    encoded = [part.encoded for part in parts]
    main = next((one for one in encoded if one.rows), encoded[0])
    if len(parts) == 1:
        return replace(main, description=description, notes=(*main.notes, *notes))
    return EncodedQuery(
        vector=vector,
        modality=main.modality,
        null="composed",
        description=description,
        slides=_each_once(name for one in encoded for name in one.slides),
        patients=_each_once(name for one in encoded for name in one.patients),
        rows=tuple(sorted({row for one in encoded for row in one.rows})),
        whole_slide=all(one.whole_slide for one in encoded),
        genes=_genes(encoded),
        notes=(*dict.fromkeys(note for one in encoded for note in one.notes), *notes, *how),
    )


def _each_once(names: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _genes(encoded: Sequence[EncodedQuery]) -> GeneReport | None:
    reports = [one.genes for one in encoded if one.genes is not None]
    if not reports:
        return None
    used, unknown, truncated = (
        _each_once(gene for report in reports for gene in getattr(report, name))
        for name in ("used", "unknown", "truncated")
    )
    return GeneReport(used, unknown, truncated)
