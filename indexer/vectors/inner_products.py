"""Inner products of a query with some or all rows, read where they lie, by FAISS's own loops on one core or several."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors
from indexer.vectors.threads import faiss_threads

Positions = npt.NDArray[np.int64]


class Unmapped(Protocol):
    """Vectors that lie elsewhere than in memory, in place of a matrix; see `indexer.store.table_vectors`."""

    def dots(self, query: Vectors, places: Positions | None = None) -> Floats:
        """Inner product of a query `(dim,)` with all rows, or those at some places."""


def dots_at(vectors: Vectors | Unmapped, query: Vectors, positions: Positions) -> Floats:
    """Inner product of one query `(dim,)` with the rows of a matrix at some positions, read in place."""
    if not isinstance(vectors, np.ndarray):
        return vectors.dots(query, positions)
    faiss = faiss_library()
    found = np.empty(len(positions), dtype=np.float32)
    if len(positions):
        pointer = faiss.swig_ptr
        with faiss_threads(1):
            faiss.fvec_inner_products_by_idx(
                pointer(found), pointer(query), pointer(vectors), pointer(positions), len(query), 1, len(positions)
            )
    return found


def dots(vectors: Vectors | Unmapped, query: Vectors) -> Floats:
    """Inner product of one query `(dim,)` with every row, on one core: NumPy's product would start a thread on each."""
    if not isinstance(vectors, np.ndarray):
        return vectors.dots(query)
    faiss = faiss_library()
    found = np.empty(len(vectors), dtype=np.float32)
    pointer = faiss.swig_ptr
    faiss.fvec_inner_products_ny(pointer(found), pointer(query), pointer(vectors), len(query), len(vectors))
    return found


def pair_dots(queries: Vectors, vectors: Vectors | Unmapped, positions: Positions, n_threads: int) -> Floats:
    """Inner product of each query with rows of its own, float32 like `positions` `(q, m)`; -inf where one is -1."""
    if not isinstance(vectors, np.ndarray):
        return np.stack([_some_dots(vectors, query, its) for query, its in zip(queries, positions, strict=True)])
    faiss = faiss_library()
    its = np.ascontiguousarray(positions)
    found = np.empty(its.shape, dtype=np.float32)
    pointer = faiss.swig_ptr
    if its.size:
        with faiss_threads(n_threads):
            faiss.fvec_inner_products_by_idx(
                pointer(found), pointer(queries), pointer(vectors), pointer(its), queries.shape[1], *its.shape
            )
    found[its < 0] = -np.inf
    return found


def _some_dots(vectors: Unmapped, query: Vectors, positions: Positions) -> Floats:
    found = np.full(len(positions), -np.inf, dtype=np.float32)
    order = np.argsort(positions)
    there = order[positions[order] >= 0]
    found[there] = vectors.dots(query, positions[there])
    return found


def faiss_library() -> Any:
    """FAISS, imported where it is first needed."""
    # Any, because FAISS's stubs describe the C++ constructors, not the Python ones that replace them.
    import faiss

    return faiss
