"""Messages between a build and the processes that read for it: over a pipe, arrays beside the message without a copy.

Both ends are processes of this project that one of them started; nothing that comes from a file is ever unpickled.
"""

import pickle
import struct
from typing import IO, Any

_SIZES = struct.Struct("<QI")
_SIZE = struct.Struct("<Q")
_PICKLE = 5  # the first with buffers out of band


def send(stream: IO[bytes], message: Any) -> None:
    """Write a message. Raises `OSError` if the other end is gone, and what pickling raises."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(message, protocol=_PICKLE, buffer_callback=buffers.append)
    stream.write(_SIZES.pack(len(body), len(buffers)))
    stream.write(body)
    for buffer in buffers:
        content = buffer.raw()
        stream.write(_SIZE.pack(content.nbytes))
        stream.write(content)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read the next message. Raises `EOFError` if the other end is gone."""
    n_body, n_buffers = _SIZES.unpack(_read(stream, _SIZES.size))
    body = _read(stream, n_body)
    buffers = [_read(stream, _SIZE.unpack(_read(stream, _SIZE.size))[0]) for _ in range(n_buffers)]
    return pickle.loads(body, buffers=buffers)  # noqa: S301  # of a process that this one started


def _read(stream: IO[bytes], n: int) -> bytearray:
    content = bytearray(n)
    view, had = memoryview(content), 0
    while had < n:
        got: int | None = stream.readinto(view[had:])  # type: ignore[attr-defined]  # of all binary streams we use
        if not got:
            raise EOFError("The other process is gone.")
        had += got
    return content
