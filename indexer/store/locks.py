"""One writer at a time: a lock in the index, and a note of who holds it."""

import json
import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from indexer.errors import WriteError
from indexer.store.location import Bucket, Location

_LOCK = "writer.lock"
_HOLDER = "writer.json"
_LOOK_AGAIN_S = 0.5


@contextmanager
def writer_lock(
    location: Location, *, wait_s: float = 0.0, on_wait: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the index for writing.

    In a folder the system frees the lock when the holder dies, however it dies. In a bucket the lock is a table that
    only one can create; the one of a holder that was killed stays until `break_lock` takes it away.

    Parameters
    ----------
    location : Location
        The index.
    wait_s : float
        Seconds to wait for another writer to end; infinity waits for as long as it takes.
    on_wait : callable, optional
        Is told once who the other writer is, if there is one to wait for.

    Raises
    ------
    WriteError
        If another process writes this index (its pid and host are named), or the place cannot be written.
    """
    told = on_wait if on_wait is not None and wait_s > 0 else None
    if isinstance(location, Bucket):
        held = _held_bucket(location, wait_s, told)
    else:
        held = _held_folder(location, wait_s, told)
    with held:
        yield


def break_lock(location: Location) -> str | None:
    """Take away the lock of a killed writer of a bucket and say whose it was, `None` if there was none."""
    from indexer.store.tables import drop_lock_table

    if not isinstance(location, Bucket):
        return None
    holder = _holder(location) if drop_lock_table(location) else None
    location.remove(_HOLDER)
    return holder


@contextmanager
def _held_folder(location: Location, wait_s: float, on_wait: Callable[[str], None] | None) -> Iterator[None]:
    lock = FileLock(location.folder / _LOCK)
    try:
        location.folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if on_wait is not None:
                on_wait(_holder(location))
            lock.acquire(timeout=wait_s if math.isfinite(wait_s) else -1)
    except Timeout as error:
        raise _taken(location, wait_s) from error
    except OSError as error:
        raise WriteError(f"Index folder {location} cannot be written: {error}. Give one you may write to.") from error
    try:
        _note_holder(location)
        yield
    finally:
        lock.release()


@contextmanager
def _held_bucket(location: Bucket, wait_s: float, on_wait: Callable[[str], None] | None) -> Iterator[None]:
    from indexer.store.tables import create_lock_table, drop_lock_table

    location.check_bucket()
    until = time.monotonic() + wait_s
    while not create_lock_table(location):
        if time.monotonic() >= until:
            raise _taken(location, wait_s)
        if on_wait is not None:
            on_wait(_holder(location))
            on_wait = None
        time.sleep(_LOOK_AGAIN_S)
    try:
        _note_holder(location)
        yield
    finally:
        drop_lock_table(location)


def _taken(location: Location, wait_s: float) -> WriteError:
    waited = f" after {wait_s:g} s" if wait_s else ""
    broken = " If it was killed: `histoseek index unlock`." if isinstance(location, Bucket) else ""
    return WriteError(
        f"Index {location} is being written by {_holder(location)}{waited}; expected a single writer. "
        f"Wait until it is done (--wait SECONDS), or stop it, then run this again.{broken}"
    )


def _note_holder(location: Location) -> None:
    try:
        content = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
        location.replace(_HOLDER, content, flush=False)  # says nothing after a power cut
    except OSError as error:
        raise WriteError(
            f"Cannot write in index {location}: {error}. Nothing was changed; free some space, then retry."
        ) from error


def _holder(location: Location) -> str:
    try:
        holder = json.loads(location.read(_HOLDER))
        return f"process {holder['pid']} on host {holder['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process (it left no readable note of its pid)"
