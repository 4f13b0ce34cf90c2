"""Memory of a server that many threads ask for: given back rather than kept by each of them."""

import ctypes
import os
import sys

_M_ARENA_MAX = -8  # of mallopt(3) in glibc
_MOST = 2


def few_arenas() -> bool:
    """Let the threads of this process share two heaps of the C library; whether it took that.

    glibc gives threads heaps of their own, up to eight a processor core, and what a thread has freed stays in its
    heap. LanceDB, Arrow and PyTorch run over a hundred threads, so that a server that is asked for long held twice the
    memory it uses, and more with every hour. `MALLOC_ARENA_MAX`, where it is set, stays as it is; other C libraries
    have no such heaps. To be called before those threads begin.
    """
    if not sys.platform.startswith("linux") or "MALLOC_ARENA_MAX" in os.environ:
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    return set_option is not None and bool(set_option(_M_ARENA_MAX, _MOST))
