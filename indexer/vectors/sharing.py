"""What several openings of one sidecar in a process share: its lists and its mapped vectors, as long as one uses them.

A sidecar never changes. An engine that takes a newer commit therefore goes on with the lists that it has in memory, and
with the pages that are mapped.
"""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TypeVar
from weakref import WeakValueDictionary

Shared = TypeVar("Shared")
_Key = tuple[str, int, int, int]

_OPENED: WeakValueDictionary[_Key, object] = WeakValueDictionary()
_LOADING: dict[_Key, Lock] = {}
_LOCK = Lock()


def shared(file: Path, load: Callable[[], Shared], kind: type[Shared]) -> Shared:
    """What `load` makes of a file, or what it made before of this very file and something still holds.

    A file that was put in the place of another, or written to, is another one. Threads that ask at once load it once.
    """
    found = file.stat()
    key = (str(file.resolve()), found.st_ino, found.st_mtime_ns, found.st_size)
    with _LOCK:
        there = _OPENED.get(key)
        loading = _LOADING.setdefault(key, Lock()) if there is None else None
    if loading is None:
        return _of_kind(there, kind, load)
    with loading:
        with _LOCK:
            there = _OPENED.get(key)
        if there is not None:
            return _of_kind(there, kind, load)
        try:
            loaded = load()
            with _LOCK:
                _OPENED[key] = loaded
        finally:
            with _LOCK:
                _LOADING.pop(key, None)
    return loaded


def _of_kind(there: object, kind: type[Shared], load: Callable[[], Shared]) -> Shared:
    return there if isinstance(there, kind) else load()
