"""Get the files of a data set: in place from a mirror folder, else into the cache from a mirror address or upstream."""

import errno
import threading
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from filelock import FileLock

from indexer.datasets.digests import Expected, FileState, check_file, note_verified
from indexer.datasets.manifest import DataFile, Dataset
from indexer.datasets.transfer import FetchProgress, Transfer, one_at_a_time, side_by_side, size_of
from indexer.datasets.web import open_client
from indexer.errors import FetchError, RefusedError, UnreachableError
from indexer.settings import Settings

__all__ = ["FetchProgress", "fetch", "verify"]

_WORKERS = 4  # files at a time


def fetch(
    dataset: Dataset,
    *,
    files: Iterable[str] | None = None,
    progress: FetchProgress | None = None,
    settings: Settings | None = None,
) -> dict[str, Path]:
    """Have files of a data set on this machine, each verified by size and SHA-256.

    A file in a mirror folder is used where it lies. One that the mirror folder lacks is looked for in the cache, then
    downloaded from the mirror's address or from upstream, resuming a part left by an earlier run; several files come
    at a time.

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
    wanted = dataset.files if files is None else [dataset.file(path) for path in dict.fromkeys(files)]
    found: dict[str, Path] = {}
    missing = []
    for file in wanted:
        state = _local_state(file, settings)
        if state.state == "verified" and state.where is not None:
            found[file.path] = state.where
            if progress is not None:
                progress(file.path, file.bytes, file.bytes)
        else:
            missing.append(file)
    if missing:
        stop = threading.Event()
        with open_client(connections=_WORKERS) as client:
            transfer = Transfer(client, progress=one_at_a_time(progress), stop=stop)
            work = partial(_download, settings=settings, transfer=transfer)
            places = side_by_side(work, missing, workers=_WORKERS, stop=stop)
        found |= {file.path: place for file, place in zip(missing, places, strict=True)}
    return {file.path: found[file.path] for file in wanted}


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
        state = check_file(_expected(file), folder / file.path, settings.cache_dir)
        if strict and state.state == "wrong":
            raise FetchError(f"The mirror's copy of {file.path} is wrong: {state.reason}. Put the right file there.")
        if state.state != "missing":
            return state
    return check_file(_expected(file), _cached(file, settings), settings.cache_dir)


def _expected(file: DataFile) -> Expected:
    return Expected(file.path, file.bytes, f"sha256:{file.sha256}")


def _cached(file: DataFile, settings: Settings) -> Path:
    return settings.cache_dir / "data" / file.path


def _download(file: DataFile, settings: Settings, transfer: Transfer) -> Path:
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
                try:
                    failure = transfer.receive(_expected(file), address, target)
                except RefusedError as error:
                    failures.append(str(error))
                    continue
                if failure is None:
                    note_verified(_expected(file), target, settings.cache_dir)
                    return target
                failures.append(f"{address}: {failure}")
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        problem = "no space left on the device" if full else (error.strerror or str(error))
        left = max(file.bytes - size_of(target.with_name(f"{target.name}.part")), 0)
        raise FetchError(
            f"Cannot write {file.path} to {target.parent}: {problem}; {left:,} more bytes are needed. Free some space "
            "or set HISTOSEEK_CACHE_DIR to another disk, then run again: what was downloaded is kept."
        ) from error
    raise UnreachableError(f"Could not get {file.path} from {'; '.join(failures)}. {remedy}")
