"""Get the files of a data set: in place from a mirror folder, else into the cache from a mirror address or upstream."""

import errno
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from indexer.datasets.digests import FileState, check_file, note_verified, sha256_of
from indexer.datasets.manifest import DataFile, Dataset
from indexer.errors import FetchError, UnreachableError
from indexer.settings import Settings

if TYPE_CHECKING:
    import httpx

#: Called with a file's path, the bytes had of it and its size; often while it downloads, once if it was there.
FetchProgress = Callable[[str, int, int], None]

_ATTEMPTS = 3  # of one address, each going on where the last one stopped
_BLOCK = 1 << 16
_CONNECT_S, _READ_S = 10.0, 60.0


def fetch(
    dataset: Dataset,
    *,
    files: Iterable[str] | None = None,
    progress: FetchProgress | None = None,
    settings: Settings | None = None,
) -> dict[str, Path]:
    """Have files of a data set on this machine, each verified by size and SHA-256.

    A file in a mirror folder is used where it lies. One that the mirror folder lacks is looked for in the cache, then
    downloaded from the mirror's address or from upstream, resuming a part left by an earlier run.

    Parameters
    ----------
    dataset : Dataset
        Entry of the manifest.
    files : iterable of str, optional
        Paths as `Dataset.paths` gives them; default all files of the data set.
    progress : callable, optional
        See `FetchProgress`.
    settings : Settings, optional
        Default: from the environment.

    Returns
    -------
    dict of str to Path
        Where each file lies, by its path in the manifest.

    Raises
    ------
    FetchError
        Naming the file, where it was looked for, and what to do.
    """
    settings = settings or Settings()
    wanted = dataset.files if files is None else [dataset.file(path) for path in files]
    found = {}
    for file in wanted:
        state = _local_state(file, settings)
        if state.state == "verified" and state.where is not None:
            found[file.path] = state.where
            if progress is not None:
                progress(file.path, file.bytes, file.bytes)
        else:
            found[file.path] = _download(file, settings, progress)
    return found


def verify(dataset: Dataset, *, settings: Settings | None = None) -> list[FileState]:
    """State of every file of a data set on this machine; downloads nothing."""
    settings = settings or Settings()
    return [_local_state(file, settings, strict=False) for file in dataset.files]


def _local_state(file: DataFile, settings: Settings, *, strict: bool = True) -> FileState:
    """State of a file in the mirror folder, else in the cache.

    With `strict` a wrong file of the mirror raises `FetchError`: it is the user's, and is neither used nor replaced.
    """
    folder = settings.mirror_folder
    if folder is not None:
        state = check_file(file, folder / file.path, settings.cache_dir)
        if strict and state.state == "wrong":
            raise FetchError(f"The mirror's copy of {file.path} is wrong: {state.reason}. Put the right file there.")
        if state.state != "missing":
            return state
    return check_file(file, _cached(file, settings), settings.cache_dir)


def _cached(file: DataFile, settings: Settings) -> Path:
    return settings.cache_dir / "data" / file.path


def _download(file: DataFile, settings: Settings, progress: FetchProgress | None) -> Path:
    """Download into the cache from the first address that has the file."""
    target = _cached(file, settings)
    addresses = [file.url] if file.url else []
    if settings.mirror_url is not None:
        addresses.insert(0, f"{settings.mirror_url.rstrip('/')}/{file.path}")
    remedy = f"Set HISTOSEEK_MIRROR to a folder or address that has it, or put the file at {target}."
    if not addresses:
        why = f" ({file.note})" if file.note else ""
        raise UnreachableError(f"{file.path} has no upstream address{why} and is in neither mirror nor cache. {remedy}")
    failures = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            for address in addresses:
                failure = _try_address(file, address, target, progress)
                if failure is None:
                    note_verified(file, target, settings.cache_dir)
                    return target
                failures.append(f"{address}: {failure}")
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        problem = "no space left on the device" if full else (error.strerror or str(error))
        left = max(file.bytes - _size(_part(target)), 0)
        raise FetchError(
            f"Cannot write {file.path} to {target.parent}: {problem}; {left:,} more bytes are needed. Free some space "
            "or set HISTOSEEK_CACHE_DIR to another disk, then run again: what was downloaded is kept."
        ) from error
    raise UnreachableError(f"Could not get {file.path} from {'; '.join(failures)}. {remedy}")


def _try_address(file: DataFile, address: str, target: Path, progress: FetchProgress | None) -> str | None:
    """Download, check and move into place; returns why it failed, or `None` if it worked."""
    import httpx

    part = _part(target)
    failure = "no attempt was made"
    for _ in range(_ATTEMPTS):
        before = _size(part)
        try:
            failure_now = _stream_into(part, file, address, progress)
        except httpx.HTTPError as error:
            failure = f"{type(error).__name__}: {error}"
            if _size(part) <= before:  # nothing came: another attempt would wait in vain
                return failure
            continue
        if failure_now is not None:
            return failure_now
        if _size(part) == file.bytes:
            break
        failure = f"the connection ended after {_size(part):,} of {file.bytes:,} bytes; run again to go on from there"
    if _size(part) < file.bytes:
        return failure
    found = sha256_of(part)
    if found != file.sha256:
        part.unlink()
        return f"the file it sent has SHA-256 {found}; expected {file.sha256}; it was thrown away"
    part.replace(target)
    return None


def _stream_into(part: Path, file: DataFile, address: str, progress: FetchProgress | None) -> str | None:
    """Append to `part` what is still missing; returns why the server's answer is of no use, or `None`.

    Raises `httpx.HTTPError` when the connection fails, with what has come so far kept in `part`.
    """
    import httpx

    have = _size(part)
    if have >= file.bytes:  # complete, or too long and so of another file
        if have == file.bytes:
            return None
        part.unlink()
        have = 0
    headers = {"Accept-Encoding": "identity"}  # the digest is that of the file, not of its compressed transfer
    if have:
        headers["Range"] = f"bytes={have}-"
    timeout = httpx.Timeout(_READ_S, connect=_CONNECT_S)
    with httpx.stream("GET", address, headers=headers, timeout=timeout, follow_redirects=True) as answer:
        if answer.status_code not in {200, 206}:
            return f"the server answered {answer.status_code} {answer.reason_phrase}".rstrip()
        if answer.status_code == 200:  # the whole file, whatever was asked for
            have = 0
        return _write_blocks(answer, part, have, file, progress)


def _write_blocks(
    answer: "httpx.Response", part: Path, have: int, file: DataFile, progress: FetchProgress | None
) -> str | None:
    with part.open("ab" if have else "wb") as stream:
        for block in answer.iter_raw(_BLOCK):
            have += len(block)
            if have > file.bytes:
                stream.truncate(0)
                return f"it sends more than the expected {file.bytes:,} bytes"
            stream.write(block)
            if progress is not None:
                progress(file.path, have, file.bytes)
    return None


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
