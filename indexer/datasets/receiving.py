"""Carry a plan out: check the disk, fetch in parallel, verify, and write beside the files what they are."""

import errno
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from indexer.datasets.collection import Plan, RemoteFile
from indexer.datasets.digests import check_file, note_verified
from indexer.datasets.record import inside, write_record
from indexer.datasets.transfer import FetchProgress, Transfer, one_at_a_time, side_by_side, size_of
from indexer.datasets.web import open_client
from indexer.errors import FetchError, RefusedError
from indexer.settings import Settings

_SPARE_BYTES = 64 << 20  # left free on the disk


@dataclass(frozen=True)
class Received:
    """What a run brought: files fetched now, files that were there, and why each other one failed."""

    fetched: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outlook:
    """What is still to come of a plan, and the room for it; files count as here by their sizes."""

    n_files: int
    n_bytes: int
    free_bytes: int


def outlook(plan: Plan, folder: Path) -> Outlook:
    """How much of a plan a folder lacks; nothing is read or made."""
    missing = [file for file in plan.files if not _looks_there(file, folder)]
    left = sum(max((file.expected.bytes or 0) - size_of(_part(folder, file)), 0) for file in missing)
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    return Outlook(len(missing), left, shutil.disk_usage(place).free)


def receive_plan(
    plan: Plan, folder: Path, settings: Settings, *, workers: int = 4, progress: FetchProgress | None = None
) -> Received:
    """Fetch the files of a plan into a folder; one that is there and verified is kept.

    Parameters
    ----------
    plan : Plan
        From a collection.
    folder : Path
        Made if it is not there.
    settings : Settings
        Where the notes of verified files lie.
    workers : int
        Files at a time.
    progress : callable, optional
        See `FetchProgress`; called by one thread at a time.

    Raises
    ------
    FetchError
        If the disk is too small or full, the server refuses, or another run fetches into the folder. Single files that
        fail are in the report instead.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".histoseek.lock", timeout=0):
            return _receive(plan, folder, settings, workers, progress)
    except Timeout as error:
        raise FetchError(f"Another run is fetching into {folder}; wait for it, or choose another folder.") from error
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        problem = "no space left on the device" if full else (error.strerror or str(error))
        raise FetchError(
            f"Cannot write to {folder}: {problem}. Free some space or take another folder, then run again: what was "
            "downloaded is kept."
        ) from error


def _receive(plan: Plan, folder: Path, settings: Settings, workers: int, progress: FetchProgress | None) -> Received:
    kept, wanted = [], []
    paths = [file.expected.path.lower() for file in plan.files]
    twice = next((path for path in paths if paths.count(path) > 1), None) if len(set(paths)) < len(paths) else None
    if twice is not None:
        raise FetchError(f"The server names two files {twice!r}; choose them one by one, into two folders.")
    for file in plan.files:
        target = inside(folder, file.expected.path)
        if check_file(file.expected, target, settings.cache_dir).state == "verified":
            kept.append(file.expected.path)
            if progress is not None:
                progress(file.expected.path, size_of(target), size_of(target))
        else:
            wanted.append(file)
    _check_disk(wanted, folder)
    write_record(plan, folder)  # first, so that `verify` knows what a broken-off run still lacks
    failed = _fetch_all(wanted, plan, folder, settings, workers, progress)
    fetched = tuple(one.expected.path for one in wanted if one.expected.path not in failed)
    return Received(fetched, tuple(kept), failed)


def _fetch_all(
    files: Sequence[RemoteFile],
    plan: Plan,
    folder: Path,
    settings: Settings,
    workers: int,
    progress: FetchProgress | None,
) -> dict[str, str]:
    """Fetch files side by side; returns why those that failed did. A refusal or a full disk stops them all."""
    stop = threading.Event()
    with open_client(connections=workers) as client:
        transfer = Transfer(client, plan.headers, one_at_a_time(progress), stop)

        def fetch(file: RemoteFile) -> str | None:
            target = inside(folder, file.expected.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                failure = transfer.receive(file.expected, file.url, target, begins=file.begins)
            except RefusedError as error:
                if error.status in {401, 403}:  # the next file would be refused as well
                    raise
                return str(error)  # of this file only: the others go on
            if failure is None:
                note_verified(file.expected, target, settings.cache_dir)
            return failure

        try:
            reasons = side_by_side(fetch, files, workers=workers, stop=stop)
        except RefusedError as error:
            raise FetchError(f"{error}. {plan.collection.explain(error, settings)}") from error
    return {file.expected.path: why for file, why in zip(files, reasons, strict=True) if why is not None}


def _looks_there(file: RemoteFile, folder: Path) -> bool:
    where = folder / file.expected.path
    return where.is_file() and file.expected.bytes in {None, size_of(where)}


def _part(folder: Path, file: RemoteFile) -> Path:
    return folder / f"{file.expected.path}.part"


def _check_disk(files: Sequence[RemoteFile], folder: Path) -> None:
    """Raise `FetchError` if what is missing does not fit."""
    missing = sum(max((file.expected.bytes or 0) - size_of(_part(folder, file)), 0) for file in files)
    free = shutil.disk_usage(folder).free
    if missing + _SPARE_BYTES > free:
        raise FetchError(
            f"{missing / 1e9:,.1f} GB are to come, and {folder} has {free / 1e9:,.1f} GB free. Choose less, free some "
            "space, or take another folder."
        )
