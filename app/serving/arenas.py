"""Memory of a server that many threads ask for: given back rather than kept by each of them."""

import ctypes
import os
import sys

_M_ARENA_MAX = -8  # of mallopt(3) in glibc
_MOST = 2


def share_heaps() -> None:
    """Let all threads of this process share few heaps. To be called before they begin.

    glibc gives threads heaps of their own, up to eight a processor core, and Arrow's allocator keeps what each thread
    has freed. LanceDB, Arrow and PyTorch run over a hundred threads, so that a server that is asked for long held twice
    the memory it uses, and more with every hour. What `MALLOC_ARENA_MAX` and `ARROW_DEFAULT_MEMORY_POOL` say, where
    they are set, stays as it is; other C libraries have no such heaps.
    """
    if sys.platform.startswith("linux") and "MALLOC_ARENA_MAX" not in os.environ:
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option is not None:
            set_option(_M_ARENA_MAX, _MOST)
    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
        import pyarrow as pa

        pa.set_memory_pool(pa.system_memory_pool())
