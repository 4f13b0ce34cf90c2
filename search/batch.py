"""Many queries at once, one table of hits."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from indexer.vectors.threads import n_cores
from search.errors import QueryError
from search.result import HITS_SCHEMA, SearchResult

BATCH_SCHEMA = pa.schema([pa.field("query_index", pa.int32(), nullable=False), *HITS_SCHEMA])


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Hits of many queries.

    Attributes
    ----------
    table : pyarrow.Table
        `HITS_SCHEMA` behind `query_index`, the 0-based place of the query; by query, best hit first.
    results : tuple of SearchResult
        The answer to each query, with its plan and notes.
    """

    table: pa.Table
    results: tuple[SearchResult, ...]

    def __len__(self) -> int:
        return len(self.results)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form: one answer a query."""
        return {"results": [result.to_dict() for result in self.results]}


def answer_all(ask: Callable[[int], SearchResult], n_queries: int) -> BatchResult:
    """Answer queries 0 to n - 1, a core each: a single search uses one, and waits on memory.

    Raises
    ------
    QueryError
        If there is no query; what `ask` raises is passed on.
    """
    if n_queries < 1:
        raise QueryError("There is no query in the list; give at least one.")
    workers = min(n_cores(), n_queries)
    first = ask(0)  # what is opened when it is first needed is opened once
    with ThreadPoolExecutor(workers) as pool:
        results = (first, *pool.map(ask, range(1, n_queries)))
    return BatchResult(joined([result.table for result in results]), results)


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables of hits one under the other, `BATCH_SCHEMA`."""
    lengths = [table.num_rows for table in tables]
    which = pa.array(np.repeat(np.arange(len(tables)), lengths), pa.int32())
    hits = pa.concat_tables(tables)
    return pa.table([which, *hits.columns], schema=BATCH_SCHEMA)
