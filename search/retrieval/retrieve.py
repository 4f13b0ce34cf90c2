"""One search from an encoded query to its hits: scope, scores, significance, table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypedDict

import numpy as np

from encoders.contracts import Modality, Vectors
from encoders.space import Calibration
from indexer.vectors.selection import Selection
from search.catalogue import Catalogue, Mask, note_on_generated
from search.encoding import EncodedQuery
from search.errors import QueryError
from search.result import Plan, SearchResult
from search.retrieval.calibration import significance
from search.retrieval.filters import Exclude, Scope, scope_of
from search.retrieval.hits import GroupBy, hits_columns, pick
from search.retrieval.plan import Scored, StageTimer, score


class More(TypedDict, total=False):
    """What may be asked of a search besides the usual.

    Attributes
    ----------
    per_group : int
        Hits kept of each group, 1 by default; `k` then counts groups.
    min_score, max_score : float, optional
        Only hits whose cosine lies between, both ends included.
    offset : int
        Hits passed over, for the next page.
    exact : bool
        Leave out no item that could be a hit, whatever it takes; see `indexer.vectors.full_scan` for how that is known.
    explain : bool
        Say in `plan.explained` why the plan was chosen, what was scanned and why the search stopped.
    """

    per_group: int
    min_score: float | None
    max_score: float | None
    offset: int
    exact: bool
    explain: bool


@dataclass(frozen=True, slots=True)
class Request:
    """How a query is to be answered; the arguments of `Engine.search`."""

    target: Modality = "expression"
    kind: str | Sequence[str] | None = None
    k: int = 10
    where: str | None = None
    exclude: Exclude = "auto"
    group_by: GroupBy | None = None
    per_group: int = 1
    min_score: float | None = None
    max_score: float | None = None
    offset: int = 0
    exact: bool = False
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Retrieval:
    """A result with what analyses need besides: the scope, and every item's score."""

    result: SearchResult
    scope: Scope
    scored: Scored


def retrieve(
    catalogue: Catalogue,
    query: EncodedQuery,
    request: Request,
    calibration: Calibration,
    among: Mask | None = None,
) -> Retrieval:
    """Answer an encoded query; see `Engine.search` for arguments and errors.

    `among`, bool `(n_items,)`, narrows the items further, such as to those with counts.
    """
    check_request(request)
    timer = StageTimer()
    scope = scope_of(catalogue, query, request.target, kind=request.kind, where=request.where, exclude=request.exclude)
    selection = scope.selection
    if among is not None:
        selection = catalogue.index.vectors(request.target).select(scope.mask & among, selection.where)
    timer.ends("filter")
    scored = _score(catalogue, query.vector, request, selection)
    timer.ends("score")
    return answered(catalogue, query, request, calibration, Retrieved(scope, selection, scored, timer))


class Retrieved(NamedTuple):
    """What was found for a query: its scope, what might answer it, the best of that, and how long it took."""

    scope: Scope
    selection: Selection
    scored: Scored
    timer: StageTimer


def answered(
    catalogue: Catalogue, query: EncodedQuery, request: Request, calibration: Calibration, found: Retrieved
) -> Retrieval:
    """Tell what the items found for a query are worth and what is known of them."""
    scope, selection, scored, timer = found
    n_hits = request.offset + request.k
    places = pick(scored, catalogue, n_hits, request.group_by, request.per_group)
    if request.group_by is None:
        places = places[request.offset :]
    worth = significance(scored.scores, scored.n_allowed, calibration, f"{query.null}->{request.target}")
    timer.ends("rank")
    hits = hits_columns(scored, places, worth, catalogue, request.target, first_rank=request.offset + 1)
    timer.ends("metadata")
    generated = note_on_generated(hits["generated"])
    notes = (*scope.notes, *_count_notes(len(places), scored, request), *worth.notes, *generated)
    described = query.description | {
        "target": request.target,
        "kind": list(scope.kinds),
        "k": request.k,
        "where": request.where,
        "exclude": scope.exclude,
        "left_out": scope.left_out[0] if len(scope.left_out) == 1 else list(scope.left_out) or None,
        "group_by": request.group_by,
    }
    described |= {name: value for name, value in _asked_besides(request).items() if value}
    explained = _explained(scored, selection, catalogue, request) if request.explain else None
    plan = Plan(scored.strategy, scored.n_allowed, len(scored.rows), timer.stage_ms, explained)
    return Retrieval(SearchResult(hits, described, plan, query.genes, notes), scope, scored)


def check_request(request: Request) -> None:
    """Raise `QueryError` for what cannot be asked."""
    if request.target not in ("image", "expression"):
        raise QueryError(f"target={request.target!r} is not known; choose image or expression.")
    for name, least, what in (("k", 1, "hit"), ("per_group", 1, "hit of each group")):
        value = getattr(request, name)
        if not _is_integer(value) or value < least:
            raise QueryError(f"{name} is {value}; expected at least {least} {what}.")
    if not _is_integer(request.offset) or request.offset < 0:
        raise QueryError(f"offset is {request.offset}; expected 0 or the number of hits to pass over.")
    if request.group_by is None and request.per_group != 1:
        raise QueryError(f"per_group is {request.per_group} without group_by; say which groups are meant.")
    if request.group_by is not None and request.offset:
        raise QueryError("Grouped hits have no pages; ask for more groups with k instead of offset.")
    low, high = request.min_score, request.max_score
    for name, bound in (("min_score", low), ("max_score", high)):
        if bound is not None and not np.isfinite(bound):
            raise QueryError(f"{name} is {bound}; expected a cosine between -1 and 1.")
    if low is not None and high is not None and low > high:
        raise QueryError(f"min_score {low} is above max_score {high}; no hit could lie between.")


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _score(catalogue: Catalogue, vector: Vectors, request: Request, selection: Selection) -> Scored:
    n_hits = request.offset + request.k
    grouped = request.group_by is not None
    # Below an upper bound the best hits are not the nearest ones, so all must be scored.
    scored = score(
        catalogue,
        vector,
        request.target,
        selection,
        k=n_hits,
        grouped=grouped,
        exact=request.exact,
        keep_all=request.max_score is not None,
    )
    if grouped and len(scored.rows) < scored.n_allowed and not _groups_are_full(scored, catalogue, request):
        scored = score(catalogue, vector, request.target, selection, k=n_hits, keep_all=True)
    if request.min_score is None and request.max_score is None:
        return scored
    keep = np.ones(len(scored.rows), dtype=np.bool_)
    if request.min_score is not None:
        keep &= scored.scores >= request.min_score
    if request.max_score is not None:
        keep &= scored.scores <= request.max_score
    return scored if keep.all() else replace(scored, rows=scored.rows[keep], scores=scored.scores[keep])


def _groups_are_full(scored: Scored, catalogue: Catalogue, request: Request) -> bool:
    """Whether the best groups, and their best hits, are all among what was scored."""
    places = pick(scored, catalogue, request.k, request.group_by, request.per_group)
    return len(places) == request.k * request.per_group


def _asked_besides(request: Request) -> dict[str, float | int | None]:
    return {
        "per_group": request.per_group if request.per_group > 1 else None,
        "min_score": request.min_score,
        "max_score": request.max_score,
        "offset": request.offset,
    }


def _explained(scored: Scored, selection: Selection, catalogue: Catalogue, request: Request) -> dict[str, Any]:
    trace = scored.trace
    n_vectors = len(catalogue.index.vectors(request.target))
    if scored.strategy == "ann":
        why = "lists are scanned until the scores say stop."
    elif trace.lists_probed:
        why = "none that could be a hit is left out, as asked."
    else:
        why = "few enough, or so many hits wanted, that each is compared."
    chosen = f"{selection.count:,} of {n_vectors:,} vectors may answer: {why}"
    return {
        "chosen": chosen,
        "n_allowed": selection.count,
        "lists_probed": trace.lists_probed,
        "lists_allowed": trace.lists_allowed,
        "n_codes_scanned": trace.n_scanned,
        "n_compared": trace.n_compared,
        "rounds": trace.rounds,
        "stopped": trace.stopped,
    }


def _count_notes(found: int, scored: Scored, request: Request) -> tuple[str, ...]:
    if not len(scored.rows):
        return ("No item is left to compare with after the filters and exclusions.",)
    if found < request.k:
        what = request.group_by or "item"
        all_of = (
            f"1 {what} may answer, so it is shown" if found == 1 else f"{found:,} {what}s may answer, so all are shown"
        )
        return (f"Only {all_of} (k was {request.k:,}).",)
    return ()
