"""One file from a server into place: resumed where it stopped, checked, then renamed."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from indexer.datasets.digests import Expected, difference
from indexer.datasets.web import ATTEMPTS, BUSY, backoff_s, pause, refusal, wait_s
from indexer.errors import FetchError

if TYPE_CHECKING:
    import httpx

#: Called with a file's path, the bytes had of it and its size (0 if unknown); often while it downloads.
FetchProgress = Callable[[str, int, int], None]


_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class StoppedError(FetchError):
    """The run was stopped; parts stay for the next one."""


@dataclass(frozen=True)
class Transfer:
    """How files are fetched: over which client, with what told, and what stops it.

    Attributes
    ----------
    client : httpx.Client
        From `indexer.datasets.web.open_client`.
    headers : mapping
        Of every request; `Authorization` goes to no other host.
    progress : callable, optional
        See `FetchProgress`.
    stop : threading.Event
        Once set, files under way end with `StoppedError`, their parts kept.
    """

    client: "httpx.Client"
    headers: Mapping[str, str] = field(default_factory=dict)
    progress: FetchProgress | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def receive(self, file: Expected, url: str, target: Path, *, begins: tuple[bytes, ...] = ()) -> str | None:
        """Download to `target`; returns why it failed, or `None` if it worked.

        Parameters
        ----------
        file : Expected
            What it must be. Without a digest nothing is resumed, since two halves could be of two files.
        url : str
            Its address.
        target : Path
            Where it goes; `<target>.part` holds what has come so far.
        begins : tuple of bytes
            Some first bytes, one of which it must have; for files whose servers state no digest.

        Raises
        ------
        RefusedError
            If the server answers with another status than 200 or 206 and is not just busy.
        OSError
            If nothing can be written.
        """
        if self.stop.is_set():
            raise StoppedError(f"{file.path}: stopped")
        part = target.with_name(f"{target.name}.part")
        if not file.digest:
            part.unlink(missing_ok=True)
        failure = self._fill(part, file, url)
        if failure is not None:
            return failure
        wrong = difference(file, part)
        if not wrong and begins and not _starts(part, begins):
            wrong = "other first bytes than such a file has"
        if wrong:
            part.unlink()
            return f"the file it sent has {wrong}; it was thrown away"
        part.replace(target)
        return None

    def _fill(self, part: Path, file: Expected, url: str) -> str | None:
        """Have all bytes in `part`; busy servers and cut connections get further attempts."""
        import httpx

        attempt, came = 0, False
        while True:
            before = size_of(part)
            try:
                pause_s = self._stream(part, file, url, attempt + 1)
                failure = _short(part, file)
                if pause_s is None and (failure is None or size_of(part) <= before):
                    return failure  # all of it, or a server that has no more
            except httpx.HTTPError as error:
                failure, pause_s = f"{type(error).__name__}: {error}", None
                if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) and not came:
                    return failure  # nobody is there: another attempt would wait in vain
            except _OtherFileError as error:
                return str(error)
            grew = size_of(part) > before
            came, attempt = came or grew, 0 if grew else attempt + 1
            if attempt == ATTEMPTS or (failure is not None and not file.digest):
                return failure or "the server is busy"
            pause(pause_s if pause_s is not None else backoff_s(attempt), self.stop)
            if self.stop.is_set():
                raise StoppedError(f"{file.path}: stopped")

    def _stream(self, part: Path, file: Expected, url: str, attempt: int) -> float | None:
        """Append to `part` what is missing; returns how long to wait if the server is too busy to send it.

        Raises `httpx.HTTPError` when the connection fails, with what has come so far kept in `part`.
        """
        have = size_of(part)
        if file.bytes is not None and have >= file.bytes:  # complete, or too long and so of another file
            if have == file.bytes:
                part.touch()  # an empty file has no bytes to ask for
                return None
            part.unlink()
            have = 0
        # the digest is that of the file, not of its compressed transfer
        headers = {**self.headers, "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with self.client.stream("GET", url, headers=headers) as answer:
            if answer.status_code in BUSY and attempt < ATTEMPTS:
                return wait_s(answer, attempt)
            if answer.status_code == 416 and have:  # the part is longer than the file
                part.unlink()
                return 0.0
            if answer.status_code not in {200, 206}:
                raise refusal(answer)
            if answer.status_code == 206 and not _continues(answer, have):
                part.unlink(missing_ok=True)
                return 0.0
            if answer.status_code == 200:  # the whole file, whatever was asked for
                have = 0
            self._write(answer, part, have, file)
        return None

    def _write(self, answer: "httpx.Response", part: Path, have: int, file: Expected) -> None:
        with part.open("ab" if have else "wb") as stream:
            for block in answer.iter_raw():
                if self.stop.is_set():
                    raise StoppedError(f"{file.path}: stopped")
                have += len(block)
                if file.bytes is not None and have > file.bytes:
                    stream.truncate(0)
                    raise _OtherFileError(f"it sends more than the expected {file.bytes:,} bytes")
                stream.write(block)
                if self.progress is not None:
                    self.progress(file.path, have, file.bytes or 0)


class _OtherFileError(Exception):
    """What comes is not the file that was asked for."""


def side_by_side(
    work: Callable[[_Item], _Result], items: Sequence[_Item], *, workers: int, stop: threading.Event
) -> list[_Result]:
    """Results of a work on each item, in order, several at a time.

    The first error, or an interrupt, sets `stop`, so that files under way end at their next block, and is raised once
    they have.
    """

    def begin(item: _Item) -> _Result:
        try:
            return work(item)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(begin, item) for item in items]
        try:
            wait(running, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
    errors = [error for error in (future.exception() for future in running) if error is not None]
    if errors:
        raise next((error for error in errors if not isinstance(error, StoppedError)), errors[0])
    return [future.result() for future in running]


def one_at_a_time(progress: FetchProgress | None) -> FetchProgress | None:
    """A listener that several threads may call."""
    if progress is None:
        return None
    lock = threading.Lock()

    def listen(path: str, have: int, size: int) -> None:
        with lock:
            progress(path, have, size)

    return listen


def size_of(path: Path) -> int:
    """Bytes of a file, 0 if there is none."""
    return path.stat().st_size if path.is_file() else 0


def _short(part: Path, file: Expected) -> str | None:
    have = size_of(part)
    if file.bytes is None or have >= file.bytes:
        return None
    return f"the connection ended after {have:,} of {file.bytes:,} bytes; run again to go on from there"


def _continues(answer: "httpx.Response", have: int) -> bool:
    """Whether a partial answer starts where it was asked to; one that does not say is believed."""
    said = answer.headers.get("Content-Range", "")
    return not said or said.startswith(f"bytes {have}-")


def _starts(part: Path, begins: tuple[bytes, ...]) -> bool:
    with part.open("rb") as stream:
        first = stream.read(max(map(len, begins)))
    return first.startswith(begins)
