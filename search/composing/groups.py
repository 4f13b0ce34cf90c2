"""All items that a condition allows, as one query."""

from dataclasses import replace

import numpy as np

from encoders.contracts import Modality
from search.catalogue import Catalogue, Mask, Rows
from search.composing.centroids import Members, check_parts, encode_members
from search.composing.coherence import group_coherence
from search.encoding import EncodedQuery
from search.errors import QueryError
from search.item_rows import is_item, vectors_of
from search.query import GroupQuery
from search.retrieval.filters import where_mask

_MOST_READ = 20_000  # items of the same slides that the group is held against, and members that are averaged


def encode_group(query: GroupQuery, catalogue: Catalogue) -> EncodedQuery:
    """The centroid of a group, with how alike its items are.

    Raises
    ------
    FilterError
        If the condition does not parse.
    QueryError
        If no item with a vector is in the group.
    """
    check_parts(query)
    named = where_mask(catalogue, query.of) & is_item(catalogue)
    side = _side(catalogue, named, query)
    members = np.flatnonzero(named & catalogue.has(side))
    rows = _evenly(members)
    slides, kinds = catalogue.codes("slide")[0], catalogue.codes("kind")[0]
    pool = np.isin(slides, np.unique(slides[rows])) & np.isin(kinds, np.unique(kinds[rows])) & catalogue.has(side)
    others = np.union1d(rows, _evenly(np.flatnonzero(pool)))
    vectors = vectors_of(catalogue, others, side)
    inside = np.searchsorted(others, rows)
    coherence = group_coherence(inside, slides[others].astype(np.int64), vectors)
    encoded = encode_members(query, Members(rows, side, vectors[inside], coherence), catalogue, "Group")
    notes = []
    if len(members) < (n := int(named.sum())):
        notes.append(f"{n - len(members):,} of its {n:,} items have no {side} vector and are not in it.")
    if len(rows) < len(members):
        notes.append(f"Averaged over {len(rows):,} of its {len(members):,} items.")
    return replace(encoded, notes=(*encoded.notes, *notes))


def _side(catalogue: Catalogue, named: Mask, query: GroupQuery) -> Modality:
    """The side asked for, or the one that most of the items have, image if equal."""
    sides: tuple[Modality, ...] = ("image", "expression") if query.using is None else (query.using,)
    counts = [int((named & catalogue.has(side)).sum()) for side in sides]
    if any(counts):
        return sides[counts.index(max(counts))]
    n = int(named.sum())
    found = f"{n:,} items, none with {'a vector' if query.using is None else f'an {query.using} vector'}"
    raise QueryError(
        f"The group {query.of!r} has {found if n else 'no item'}; `histoseek index stats` and `--where` of a search "
        "show what there is."
    )


def _evenly(rows: Rows) -> Rows:
    return rows if len(rows) <= _MOST_READ else rows[np.linspace(0, len(rows) - 1, _MOST_READ).astype(np.int64)]
