"""Many items as one query: their unit mean, or that of one of the parts they fall into."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from encoders.aggregators import PrototypeAggregator
from encoders.contracts import Modality, Vectors, unit_rows
from search.catalogue import Catalogue, Rows
from search.composing.coherence import Coherence
from search.encoding import EncodedQuery
from search.errors import QueryError
from search.query import GroupQuery, RegionQuery

_MOST_PARTS = 20


@dataclass(frozen=True, slots=True)
class Members:
    """Items that are asked with: their rows, the side, their unit vectors `(n, dim)`, and how alike they are."""

    rows: Rows
    side: Modality
    vectors: Vectors
    coherence: Coherence


def check_parts(query: RegionQuery | GroupQuery) -> None:
    """Raise `QueryError` unless `part` is one of `parts`."""
    if not 1 <= query.parts <= _MOST_PARTS or not 1 <= query.part <= query.parts:
        raise QueryError(
            f"Part {query.part} of {query.parts} was asked for; expected 1 to {_MOST_PARTS} parts, and one of them."
        )


def encode_members(query: RegionQuery | GroupQuery, members: Members, catalogue: Catalogue, what: str) -> EncodedQuery:
    """Unit mean of the members, or of one part of them, with what the user should know of it.

    Raises
    ------
    QueryError
        If they cancel, or there are fewer parts.
    """
    rows, vectors, notes = members.rows, members.vectors, members.coherence.notes(what)
    found: dict[str, Any] = {"using": members.side, "n_items": len(rows), "coherence": members.coherence.to_dict()}
    if query.parts > 1:
        mine, share = _part(vectors, query)
        rows, vectors = rows[mine], vectors[mine]
        notes = (f"Part {query.part} of {query.parts} of the {what.lower()}: {len(rows):,} items, {share:.0%} of it.",)
        found |= {"n_items": len(rows), "share_of_items": round(share, 4)}
    mean = vectors.mean(axis=0, dtype=np.float64)
    if np.linalg.norm(mean) < 1e-6:
        raise QueryError(f"The {len(rows):,} items of the {what.lower()} point in all directions: they have no mean.")
    slides, patients = (_names(catalogue, name, members.rows) for name in ("slide", "patient"))
    return EncodedQuery(
        vector=unit_rows(mean[None].astype(np.float32))[0],
        modality=members.side,
        null=members.side if len(rows) == 1 else "composed",
        description=query.describe() | found,
        slides=slides,
        patients=patients,
        rows=tuple(members.rows.tolist()),
        notes=notes,
    )


def _part(vectors: Vectors, query: RegionQuery | GroupQuery) -> tuple[Rows, float]:
    """Places of one part, by spherical k-means, the largest part first."""
    centres = PrototypeAggregator(query.parts).aggregate(vectors).vectors
    if query.part > len(centres):
        raise QueryError(f"The {len(vectors):,} items fall into {len(centres)} parts; not {query.part}. Ask for fewer.")
    mine = np.flatnonzero((vectors @ centres.T).argmax(axis=1) == query.part - 1)
    return mine, len(mine) / len(vectors)


def _names(catalogue: Catalogue, column: str, rows: Rows) -> tuple[str, ...]:
    codes, code_of = catalogue.codes(column)
    found = set(np.unique(codes[rows]).tolist())
    return tuple(sorted(name for name, code in code_of.items() if name is not None and code in found))
