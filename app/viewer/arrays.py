"""Numbers that a viewer draws: sent to the browser once, by the digest of their bytes."""

import hashlib
import threading
from collections import OrderedDict

import numpy as np
import numpy.typing as npt

_MOST_BYTES = 128 * 2**20


class Arrays:
    """Float arrays by digest; those put least recently make room.

    Parameters
    ----------
    most_bytes : int
        Of all arrays together.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._n_bytes = 0
        self._lock = threading.Lock()

    def put(self, values: npt.ArrayLike) -> str:
        """Keep values as little-endian float32 and give their digest."""
        return self._put(np.ascontiguousarray(values, dtype="<f4").tobytes())

    def put_text(self, text: str) -> str:
        """Keep a text as UTF-8 and give its digest."""
        return self._put(text.encode())

    def _put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        with self._lock:
            if digest not in self._kept:
                self._kept[digest] = content
                self._n_bytes += len(content)
            self._kept.move_to_end(digest)
            while self._n_bytes > self._most_bytes and len(self._kept) > 1:
                self._n_bytes -= len(self._kept.popitem(last=False)[1])
        return digest

    def get(self, digest: str) -> bytes | None:
        """Bytes of an array, `None` if it was never put or had to make room."""
        with self._lock:
            return self._kept.get(digest)
