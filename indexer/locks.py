"""One writer at a time: a lock file in the index folder, and a note of who holds it."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.errors import WriteError

_LOCK = "writer.lock"
_HOLDER = "writer.json"


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the index for writing; the system frees the lock when the holder dies, however it dies.

    Raises
    ------
    WriteError
        If another process writes this index (its pid and host are named), or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / _LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise WriteError(
            f"Index {folder} is being written by {_holder(folder)}; expected a single writer. "
            "Wait until it is done, or stop it, then run this again."
        ) from error
    except OSError as error:
        raise WriteError(
            f"Index folder {folder} cannot be written: {error}. Give a folder you may write to."
        ) from error
    try:
        _note_holder(folder)
        yield
    finally:
        lock.release()


def _note_holder(folder: Path) -> None:
    try:
        (folder / _HOLDER).write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
    except OSError as error:
        raise WriteError(f"Cannot write in index folder {folder}: {error}. Free some space, then retry.") from error


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / _HOLDER).read_text())
        return f"process {holder['pid']} on host {holder['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process (it left no readable note of its pid)"
