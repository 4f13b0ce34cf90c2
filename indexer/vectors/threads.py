"""How many threads FAISS may use, set on purpose and put back.

FAISS's wheel carries its own OpenMP, PyTorch's another; each counts its threads by itself. Left alone, FAISS takes
every core for a query that one core answers faster, and spinning threads slow everything else in the process down.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Queries a thread must have to itself before a second one is worth starting.
_QUERIES_PER_THREAD = 8


_HERE = threading.local()


@contextmanager
def within(n: int) -> Iterator[None]:
    """Let this thread use no more than `n` cores in this block: others run beside it."""
    before = getattr(_HERE, "cores", None)
    _HERE.cores = n
    try:
        yield
    finally:
        _HERE.cores = before


class faiss_threads:  # noqa: N801  # read as the function it was; a generator would take longer than what it wraps
    """Let FAISS use `n` threads in this block, and as many as before after it."""

    __slots__ = ("_before", "_n")

    def __init__(self, n: int) -> None:
        self._n = n

    def __enter__(self) -> None:
        import faiss

        self._before = int(faiss.omp_get_max_threads())
        if self._before != self._n:
            faiss.omp_set_num_threads(self._n)

    def __exit__(self, *_: object) -> None:
        if self._before != self._n:
            import faiss

            faiss.omp_set_num_threads(self._before)


def n_cores() -> int:
    """Cores this thread may use: those of the process, and no more than `OMP_NUM_THREADS` or `within` says."""
    here: int | None = getattr(_HERE, "cores", None)
    if here is not None:
        return here
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(asked)) if asked.isdigit() and int(asked) > 0 else cores


def threads_for(n_queries: int) -> int:
    """Threads for so many queries at once: one for a single query, which waits on memory and gains nothing by two."""
    wanted = n_queries // _QUERIES_PER_THREAD
    return min(n_cores(), wanted) if wanted > 1 else 1
