"""The vector files of an index, asked of the disk before they are needed."""

import logging
import os
from pathlib import Path
from threading import Thread

from indexer.errors import StoreError
from indexer.store.location import SIDECAR, locate
from indexer.store.versions import split_version

_LOG = logging.getLogger(__name__)
_SHARE = 0.25  # of the memory: vectors that take up more are read as they are needed


def read_ahead(db: str) -> Thread | None:
    """Let the system read the sidecars of an index into its memory, in the background; `None` where it cannot.

    A search that meets files which are not in memory waits for the disk hundreds of times, for a page each. Read from
    end to end they come at the speed of the disk, while the programs are still being loaded.
    """
    if not hasattr(os, "posix_fadvise"):
        return None
    thread = Thread(target=_read, args=(db,), name="reading ahead", daemon=True)
    thread.start()
    return thread


def _read(db: str) -> None:
    left = _SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        folder = locate(split_version(db)[0]).folder / SIDECAR
        # The small ones first: every search needs them, and of the vectors only some.
        for path in sorted(filter(Path.is_file, folder.rglob("*")), key=_size):
            left -= (size := _size(path))
            if left < 0:
                return
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, size, os.POSIX_FADV_WILLNEED)
    except (OSError, StoreError) as error:  # what is wrong with the index is said where it is opened
        _LOG.debug("Nothing more of %s is read ahead: %s", db, error)


def _size(path: Path) -> int:
    return path.stat().st_size
