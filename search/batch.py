"""Many queries at once, one table of hits.

Where the queries share what may answer them but for what each leaves out of its own, they are one plan, one mask, one
search and one gathering of metadata; the answer to a single one is then put together when it is looked at.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from encoders.contracts import Floats
from indexer.vectors.found import Strategy
from indexer.vectors.threads import n_cores, within
from search.catalogue import Base, Rows
from search.encoding import EncodedQuery
from search.errors import QueryError
from search.query import Query
from search.result import HITS_SCHEMA, SearchResult
from search.retrieval.calibration import significance_of_many
from search.retrieval.filters import LeftOut, base_of, left_out_of, scope_of
from search.retrieval.plan import Scored, StageTimer, n_kept
from search.retrieval.retrieve import Request, Retrieved, answered, check_request
from search.state import State

BATCH_SCHEMA = pa.schema([pa.field("query_index", pa.int32(), nullable=False), *HITS_SCHEMA])


@dataclass(frozen=True)
class BatchResult:
    """Hits of many queries.

    Attributes
    ----------
    table : pyarrow.Table
        `HITS_SCHEMA` behind `query_index`, the 0-based place of the query; by query, best hit first.
    results : sequence of SearchResult
        The answer to each query, with its plan and notes.
    """

    table: pa.Table
    results: Sequence[SearchResult]

    def __len__(self) -> int:
        return len(self.results)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form: one answer a query."""
        return {"results": [result.to_dict() for result in self.results]}


def answer_many(state: State, queries: Sequence[Query], request: Request) -> BatchResult:
    """Answer many queries alike; see `Engine.search_many` for errors."""
    if not queries:
        raise QueryError("There is no query in the list; give at least one.")
    check_request(request)
    encoded = [state.encode(query) for query in queries]
    if _can_share(state, encoded, request):
        shared = _Shared(state, encoded, request)
        return BatchResult(shared.table(), _Answers(len(encoded), shared.answer))

    def ask(query: EncodedQuery) -> SearchResult:
        return state.search(query, request)

    def ask_beside(query: EncodedQuery) -> SearchResult:
        with within(1):
            return ask(query)

    first = ask(encoded[0])  # what is opened when it is first needed is opened once
    with ThreadPoolExecutor(min(n_cores(), len(encoded))) as pool:
        results = (first, *pool.map(ask_beside, encoded[1:]))
    return BatchResult(_joined([result.table for result in results]), results)


def _can_share(state: State, encoded: Sequence[EncodedQuery], request: Request) -> bool:
    """Whether one search answers all: not where each weighs all its scores, or some stand for slides, which are few."""
    plain = request.group_by is None and request.min_score is None and request.max_score is None
    if len(encoded) == 1 or not plain or request.explain or any(query.whole_slide for query in encoded):
        return False
    vectors = state.index.vectors(request.target)
    selection = _base(state, encoded[0], request).selection
    wanted = request.offset + request.k
    return n_kept(vectors, selection, wanted, exact=request.exact) < max(selection.count, 1)


def _base(state: State, query: EncodedQuery, request: Request) -> Base:
    return base_of(state.catalogue, query, request.target, kind=request.kind, where=request.where)[1]


class _Found(NamedTuple):
    """Rows, -1 where there are fewer, and scores, of each query as many as are kept; and how they were found."""

    rows: Rows
    scores: Floats
    strategy: Strategy
    ms: float


class _Shared:
    """A batch that is one search."""

    def __init__(self, state: State, encoded: Sequence[EncodedQuery], request: Request) -> None:
        self._state, self._encoded, self._request = state, encoded, request
        self._base = _base(state, encoded[0], request)
        known: dict[tuple[object, ...], LeftOut] = {}
        left = []
        for query in encoded:
            key = (query.modality, query.slides, query.patients, query.rows)
            if key not in known:
                known[key] = left_out_of(state.catalogue, query, request.target, self._base, request.exclude)
            left.append(known[key].rows)
        self._gone = left
        self._n_allowed = self._base.selection.count - np.array([len(rows) for rows in left])

    @cached_property
    def _found(self) -> _Found:
        vectors, selection = self._state.index.vectors(self._request.target), self._base.selection
        exact, wanted = self._request.exact, self._request.offset + self._request.k
        n = n_kept(vectors, selection, wanted, exact=exact)
        timer = StageTimer()
        queries = np.stack([query.vector for query in self._encoded])
        gone = self._gone if any(map(len, self._gone)) else None
        near = vectors.search(queries, n, selection, exact=exact, without=gone)
        timer.ends("score")
        strategy: Strategy = "exact" if exact else vectors.strategy(selection, n)
        return _Found(near.rows, near.scores, strategy, round(timer.stage_ms["score"] / len(queries), 3))

    def answer(self, place: int) -> SearchResult:
        """The answer to one query, as by itself."""
        query, request, catalogue = self._encoded[place], self._request, self._state.catalogue
        scope = scope_of(
            catalogue, query, request.target, kind=request.kind, where=request.where, exclude=request.exclude
        )
        there = self._found.rows[place] >= 0
        scored = Scored(
            self._found.rows[place][there],
            self._found.scores[place][there],
            int(self._n_allowed[place]),
            self._found.strategy,
        )
        found = Retrieved(scope, scope.selection, scored, StageTimer({"score": self._found.ms}))
        return answered(catalogue, query, request, self._state.space().card.calibration, found).result

    def table(self) -> pa.Table:
        """All hits, `BATCH_SCHEMA`."""
        request, (rows, scores, _, _) = self._request, self._found
        shown = np.zeros(rows.shape, dtype=np.bool_)
        shown[:, request.offset : request.offset + request.k] = True
        which, rank = np.nonzero(shown & (rows >= 0))
        columns = {
            "query_index": pa.array(which, pa.int32()),
            "rank": pa.array(rank + 1, pa.int32()),
            "score": pa.array(scores[which, rank]),
            **self._worth(which, rank),
            "modality": pa.array(np.full(len(which), request.target, dtype=object), pa.string()),
            **self._state.index.columns.take(rows[which, rank]),
        }
        return pa.Table.from_arrays([columns[field.name] for field in BATCH_SCHEMA], schema=BATCH_SCHEMA)

    def _worth(self, which: Rows, rank: Rows) -> dict[str, pa.Array]:
        found = self._found
        calibration = self._state.space().card.calibration
        nulls = np.array([query.null for query in self._encoded])
        p_values, rates = (np.full(found.scores.shape, np.nan, dtype=np.float32) for _ in range(2))
        for null in np.unique(nulls):
            its = np.flatnonzero(nulls == null)
            key = f"{null}->{self._request.target}"
            worth = significance_of_many(found.scores[its], self._n_allowed[its], calibration, key)
            if worth is not None:
                p_values[its], rates[its] = worth
        return {"p_value": _or_null(p_values[which, rank]), "fdr": _or_null(rates[which, rank])}


def _or_null(values: Floats) -> pa.Array:
    missing: npt.NDArray[np.bool_] = np.isnan(values)
    return pa.array(values, mask=missing)


class _Answers(Sequence[SearchResult]):
    """Answers that are put together when they are looked at."""

    def __init__(self, n: int, answer: Callable[[int], SearchResult]) -> None:
        self._places, self._answer = range(n), answer

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> SearchResult: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[SearchResult, ...]: ...
    def __getitem__(self, place: int | slice) -> SearchResult | tuple[SearchResult, ...]:
        its = self._places[place]
        return tuple(map(self._answer, its)) if isinstance(its, range) else self._answer(its)


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables of hits one under the other, `BATCH_SCHEMA`."""
    lengths = [table.num_rows for table in tables]
    which = pa.array(np.repeat(np.arange(len(tables)), lengths), pa.int32())
    hits = pa.concat_tables(tables)
    return pa.table([which, *hits.columns], schema=BATCH_SCHEMA)
