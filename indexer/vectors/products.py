"""Many queries compared with every row by matrix products: rough ones rule rows out, the rest are compared again.

Where the processor multiplies bfloat16 itself (AMX or AVX-512 BF16) and there is enough to do, the rough ones are of
rounded vectors (`indexer.vectors.rounded`). A row that falls short of the last hit by more than rounding may move its
product cannot be one, so nothing is lost; all others are compared on their full vectors.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors
from indexer.vectors.inner_products import dots_at
from indexer.vectors.rounded import least_rounded, rounding, rounding_errors, writable
from indexer.vectors.threads import n_cores

Rows = npt.NDArray[np.int64]
Pairs = tuple[Rows, Rows]  # places among the queries, and rows
_AT_ONCE = 1_024  # queries
#: Rows of a chunk, and products: where there are few queries more rows at a time are multiplied sooner.
_FEWEST_ROWS, _MOST_ROWS, _PRODUCTS = 2_048, 8_192, 2**21
_PADDING = 32  # queries that products of bfloat16 go by
_ROUNDING = 2e-6
_FEWEST_PENDING = 65_536


def nearest_of_all(
    vectors: Vectors,
    queries: Vectors,
    k: int,
    *,
    places: Rows | None = None,
    gone: Sequence[Rows] | None = None,
    least: Floats | None = None,
) -> tuple[Rows, Floats]:
    """Compare some unit queries `(q, dim)` with every row.

    Parameters
    ----------
    vectors : float32 (n, dim)
        Unit rows.
    places : int64 (m,), optional
        Rows that may answer, ascending; all if not given.
    gone : sequence of int64 (m,), optional
        Rows that may not answer each query, ascending.
    least : float32 (q,), optional
        A score that the last hit of each query has at least, such as that of the last of an approximate search.

    Returns
    -------
    int64 (q, k), float32 (q, k)
        Rows and inner products, descending, ties in row order; -1 and -inf where fewer may answer.
    """
    rows = np.full((len(queries), k), -1, dtype=np.int64)
    scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
    allowed = None
    if places is not None and 2 * len(places) > len(vectors):  # then all are sooner read where they lie
        allowed = np.zeros(len(vectors), dtype=np.bool_)
        allowed[places], places = True, None
    n_rows = len(vectors) if places is None else len(places)

    def compare(products: _Products, part: slice, stretch: range) -> _Best:
        floor = np.full(len(queries[part]), -np.inf, np.float32) if least is None else least[part].copy()
        best = _Best(vectors, queries[part], k, floor, None if gone is None else gone[part])
        for first, (which, chosen) in products(vectors, best, places, stretch):
            its = chosen + first if places is None else places[chosen + first]
            kept = slice(None) if allowed is None else allowed[its]
            best.add(which[kept], its[kept])
        best.fold()
        return best

    with _multiplier(n_rows * len(queries)) as (products, n_threads), ThreadPoolExecutor(n_threads) as pool:
        stretches = _stretches(n_rows, n_threads)
        for start in range(0, len(queries), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            found = list(pool.map(partial(compare, products, part), stretches))
            its, their = (
                np.hstack(columns) for columns in zip(*((one.rows, one.scores) for one in found), strict=True)
            )
            order = np.lexsort((its, -their), axis=1)[:, :k]
            rows[part], scores[part] = np.take_along_axis(its, order, 1), np.take_along_axis(their, order, 1)
    return rows, scores


class _Best:
    """Best rows so far of some queries; `least` is the score that a further hit has at least."""

    def __init__(self, vectors: Vectors, queries: Vectors, k: int, least: Floats, gone: Sequence[Rows] | None) -> None:
        self.queries, self.least = queries, least
        self.rows: Rows = np.full((len(queries), k), -1, dtype=np.int64)
        self.scores: Floats = np.full((len(queries), k), -np.inf, dtype=np.float32)
        self._vectors, self._k, self._gone = vectors, k, gone
        self._pending: list[Pairs] = []
        self._n_pending = 0

    def add(self, which: Rows, rows: Rows) -> None:
        """Take in rows that may be hits of some queries."""
        if len(rows):
            self._pending.append((which, rows))
            self._n_pending += len(rows)
            if self._n_pending > max(_FEWEST_PENDING, 2 * self._k * len(self.queries)):
                self.fold()

    def fold(self) -> None:
        """Compare what was taken in on full vectors, and keep the best."""
        if not self._n_pending:
            return
        which, rows = (np.concatenate(column) for column in zip(*self._pending, strict=True))
        self._pending, self._n_pending = [], 0
        order = np.argsort(which, kind="stable")  # the rows of a query stay in their order
        which, rows = which[order], rows[order]
        asked, first = np.unique(which, return_index=True)
        for query, its in zip(asked.tolist(), np.split(rows, first[1:]), strict=True):
            self._fold(query, its if self._gone is None else without(its, self._gone[query]))

    def _fold(self, query: int, its: Rows) -> None:
        kept = self.rows[query] >= 0
        rows = np.concatenate([self.rows[query][kept], its])
        scores = np.concatenate([self.scores[query][kept], dots_at(self._vectors, self.queries[query], its)])
        best = np.lexsort((rows, -scores))[: self._k]
        self.rows[query, : len(best)], self.scores[query, : len(best)] = rows[best], scores[best]
        if len(best) == self._k:
            self.least[query] = max(self.least[query], scores[best[-1]])


_Products = Callable[[Vectors, _Best, Rows | None, range], Iterator[tuple[int, Pairs]]]


def without(rows: Rows, gone: Rows) -> Rows:
    """Rows that are not among others, which ascend."""
    if not len(gone):
        return rows
    kept: Rows = rows[gone[np.minimum(np.searchsorted(gone, rows), len(gone) - 1)] != rows]
    return kept


def _stretches(n_rows: int, n_threads: int) -> list[range]:
    """Rows of each thread: whole chunks, but for the last."""
    n_chunks = -(-n_rows // _MOST_ROWS)
    ends = [min(n_rows, _MOST_ROWS * (n_chunks * i // n_threads)) for i in range(n_threads + 1)]
    return [range(start, stop) for start, stop in pairwise(ends)]


def _chunks(vectors: Vectors, places: Rows | None, stretch: range, n: int) -> Iterator[tuple[int, Vectors]]:
    for start in range(stretch.start, stretch.stop, n):
        part = slice(start, min(start + n, stretch.stop))
        yield start, vectors[part] if places is None else vectors[places[part]]


def _whole(vectors: Vectors, best: _Best, places: Rows | None, stretch: range) -> Iterator[tuple[int, Pairs]]:
    for start, chunk in _chunks(vectors, places, stretch, _FEWEST_ROWS):
        found = chunk @ best.queries.T
        yield start, _pairs(found >= best.least - np.float32(_ROUNDING))


def _rounded(torch: Any) -> _Products:
    def products(vectors: Vectors, best: _Best, places: Rows | None, stretch: range) -> Iterator[tuple[int, Pairs]]:
        torch.set_num_threads(1)  # of this thread: others have rows of their own, and none waits for another
        n, dim = best.queries.shape
        width = -(-n // _PADDING) * _PADDING
        n_rows = max(_FEWEST_ROWS, min(_MOST_ROWS, _PRODUCTS // width))
        queries = torch.zeros((width, dim), dtype=torch.bfloat16)
        queries[:n] = torch.from_numpy(np.ascontiguousarray(best.queries))
        errors = np.zeros(width, dtype=np.float32)
        errors[:n] = rounding_errors(best.queries, queries[:n].float().numpy())
        columns = queries.T.contiguous()
        # Memory that is written over: new memory of that size is slower to get than to multiply.
        rounded = torch.empty((n_rows, dim), dtype=torch.bfloat16)
        its = torch.empty((n_rows, width), dtype=torch.bfloat16)
        near = np.empty((n_rows, width), dtype=np.bool_)
        for start, chunk in _chunks(vectors, places, stretch, n_rows):
            m = len(chunk)
            found = torch.mm(rounded[:m].copy_(torch.from_numpy(writable(chunk))), columns, out=its[:m])
            least = least_rounded(_padded(best.least, width), errors)
            if (least > 0).all():  # the bits of positive numbers are in their order
                bits = (least.view(np.int32) >> 16).astype(np.int16)
                np.greater_equal(found.view(torch.int16).numpy(), bits, out=near[:m])
            else:
                np.greater_equal(found.float().numpy(), least, out=near[:m])
            yield start, _pairs(near[:m])

    return products


def _padded(least: Floats, width: int) -> Floats:
    """As many with more that nothing reaches."""
    return np.pad(least, (0, width - len(least)), constant_values=np.inf)


def _pairs(near: npt.NDArray[np.bool_]) -> Pairs:
    """Places of those that are true, bool `(rows, queries)`."""
    rows, which = np.divmod(np.flatnonzero(near), near.shape[1])
    return which, rows


@contextmanager
def _multiplier(n_products: int) -> Iterator[tuple[_Products, int]]:
    """What multiplies so many pairs quickest, and on how many threads."""
    with rounding(n_products) as torch:
        yield (_whole, 1) if torch is None else (_rounded(torch), n_cores())  # NumPy's products take every core
