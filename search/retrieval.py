"""One search from an encoded query to its hits: scope, scores, significance, table."""

from collections.abc import Sequence
from dataclasses import dataclass

from encoders.contracts import Modality
from encoders.space import Calibration
from search.calibration import significance
from search.catalogue import Catalogue, Mask
from search.encoding import EncodedQuery
from search.errors import QueryError
from search.filters import Exclude, Scope, scope_of
from search.hits import GroupBy, hits_table, pick
from search.plan import Scored, StageTimer, score
from search.result import Plan, SearchResult


@dataclass(frozen=True, slots=True)
class Request:
    """How a query is to be answered; the arguments of `Engine.search`."""

    target: Modality = "expression"
    kind: str | Sequence[str] | None = None
    k: int = 10
    where: str | None = None
    exclude: Exclude = "auto"
    group_by: GroupBy | None = None


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
    if request.target not in ("image", "expression"):
        raise QueryError(f"target={request.target!r} is not known; choose image or expression.")
    if request.k < 1:
        raise QueryError(f"k is {request.k}; expected at least 1 hit.")
    timer = StageTimer()
    with timer.stage("filter"):
        scope = scope_of(
            catalogue, query, request.target, kind=request.kind, where=request.where, exclude=request.exclude
        )
        allowed = scope.mask if among is None else scope.mask & among
    with timer.stage("score"):
        scored = score(
            catalogue, query.vector, request.target, allowed, k=request.k, grouped=request.group_by is not None
        )
    with timer.stage("rank"):
        places = pick(scored, catalogue, request.k, request.group_by)
        key = f"{query.null}->{request.target}"
        worth = significance(scored.scores, scored.n_allowed, calibration, key)
        table = hits_table(scored, places, worth, catalogue, request.target)
    generated = catalogue.generated_note(scored.rows[places])
    notes = (*scope.notes, *_count_notes(len(places), scored, request), *worth.notes, *generated)
    described = query.description | {
        "target": request.target,
        "kind": list(scope.kinds),
        "k": request.k,
        "where": request.where,
        "exclude": scope.exclude,
        "left_out": scope.left_out,
        "group_by": request.group_by,
    }
    plan = Plan(scored.strategy, scored.n_allowed, len(scored.rows), timer.stage_ms)
    return Retrieval(SearchResult(table, described, plan, query.genes, notes), scope, scored)


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
