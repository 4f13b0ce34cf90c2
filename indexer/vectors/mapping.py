"""Page tables of mapped vectors, filled before they are needed."""

import logging
import mmap
import os
import sys
import threading
import time
from weakref import WeakSet

from encoders.contracts import Vectors

_LOG = logging.getLogger(__name__)
_WAIT_S = 0.3  # until the first answer is out
_STEP = 2**20  # bytes at a time: the interpreter waits for each
_POPULATE_READ = 22  # MADV_POPULATE_READ of Linux 5.14 and later; `mmap` has no name for it
#: Vectors larger than this share of the memory are left to be mapped page by page, as they are read.
_SHARE = 0.25
_POPULATED: "WeakSet[mmap.mmap]" = WeakSet()


def populate(vectors: Vectors) -> threading.Thread | None:
    """Map the pages of vectors that are a memory map, in the background; they stay evictable.

    A page that is in memory but not yet mapped costs a search microseconds for each row it compares. Nothing is done
    where vectors are large for this machine, or the system cannot do it; searches are then only slower at first.
    """
    mapped = getattr(vectors, "_mmap", None)
    if not isinstance(mapped, mmap.mmap) or sys.platform != "linux" or mapped in _POPULATED:
        return None
    if len(mapped) > _SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
        return None
    _POPULATED.add(mapped)
    thread = threading.Thread(target=_populate, args=(mapped,), name="histoseek-populate", daemon=True)
    thread.start()
    return thread


def _populate(mapped: mmap.mmap) -> None:
    time.sleep(_WAIT_S)
    for start in range(0, len(mapped), _STEP):
        try:
            mapped.madvise(_POPULATE_READ, start, min(_STEP, len(mapped) - start))
        except (OSError, ValueError) as error:  # an older kernel, or a map that was closed
            _LOG.debug("Pages of the vectors are mapped as they are read: %s", error)
            return
