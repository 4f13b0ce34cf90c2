"""Carry a plan out: check the disk, fetch in parallel, verify, and write beside the files what they are."""

import csv
import errno
import io
import json
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from indexer.datasets.collection import Plan, RemoteFile, Row
from indexer.datasets.digests import Expected, FileState, check_file, note_verified
from indexer.datasets.transfer import FetchProgress, StoppedError, Transfer, size_of
from indexer.datasets.web import open_client
from indexer.errors import FetchError, RefusedError
from indexer.settings import Settings

#: In a fetched folder: what it is, and what each of its files must be.
RECORD = "histoseek_collection.json"
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


def verify_folder(folder: Path, settings: Settings) -> list[FileState]:
    """State of every file of a fetched folder. Raises `FetchError` if the folder is none."""
    return [check_file(file, folder / file.path, settings.cache_dir) for file in recorded_files(folder)]


def recorded_files(folder: Path) -> list[Expected]:
    """What each file of a fetched folder must be. Raises `FetchError` if its record cannot be read."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return [Expected(str(one["path"]), one["bytes"], str(one["digest"])) for one in record["files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FetchError(
            f"{folder} has no readable {RECORD} ({error}); expected a folder that `histoseek data get` filled."
        ) from error


def recorded_revision(folder: Path, collection: str) -> str | None:
    """Revision that a folder was fetched at before; `None` for a new one.

    Raises `FetchError` if it holds another collection.
    """
    if not (folder / RECORD).is_file():
        return None
    recorded_files(folder)
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    if record.get("collection") != collection:
        raise FetchError(f"{folder} holds {record.get('collection')!r}, not {collection!r}; take another folder.")
    return str(record.get("revision")) if record.get("revision") else None


def _receive(plan: Plan, folder: Path, settings: Settings, workers: int, progress: FetchProgress | None) -> Received:
    kept, wanted = [], []
    paths = [file.expected.path.lower() for file in plan.files]
    twice = next((path for path in paths if paths.count(path) > 1), None) if len(set(paths)) < len(paths) else None
    if twice is not None:
        raise FetchError(f"The server names two files {twice!r}; choose them one by one, into two folders.")
    for file in plan.files:
        target = _inside(folder, file.expected.path)
        if check_file(file.expected, target, settings.cache_dir).state == "verified":
            kept.append(file.expected.path)
            if progress is not None:
                progress(file.expected.path, size_of(target), size_of(target))
        else:
            wanted.append(file)
    _check_disk(wanted, folder)
    _write_record(plan, folder)  # first, so that `verify` knows what a broken-off run still lacks
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
    stop, failed = threading.Event(), dict[str, str]()
    with open_client(connections=workers) as client, ThreadPoolExecutor(workers) as pool:
        transfer = Transfer(client, plan.headers, _one_at_a_time(progress), stop)

        def fetch(file: RemoteFile) -> str | None:
            if stop.is_set():
                raise StoppedError(f"{file.expected.path}: stopped")
            target = _inside(folder, file.expected.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                failure = transfer.receive(file.expected, file.url, target, begins=file.begins)
            except RefusedError as error:
                if error.status in {401, 403}:
                    stop.set()  # the next file would be refused as well
                    raise
                return str(error)  # of this file only: the others go on
            if failure is None:
                note_verified(file.expected, target, settings.cache_dir)
            return failure

        running = {pool.submit(fetch, file): file.expected.path for file in files}
        try:
            wait(running, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()  # after an error or an interrupt: files under way end at their next block
        for future, path in running.items():
            error = future.exception()
            if isinstance(error, RefusedError):
                raise FetchError(f"{error}. {plan.collection.explain(error, settings)}") from error
            if error is not None and not isinstance(error, StoppedError):
                raise error
            reason = future.result() if error is None else str(error)
            if reason is not None:
                failed[path] = reason
    return failed


def _one_at_a_time(progress: FetchProgress | None) -> FetchProgress | None:
    if progress is None:
        return None
    lock = threading.Lock()

    def listen(path: str, have: int, size: int) -> None:
        with lock:
            progress(path, have, size)

    return listen


def _inside(folder: Path, path: str) -> Path:
    """Where a file goes. Raises `FetchError` if a link on the way leads out of the folder."""
    target = folder / path
    if not target.resolve().is_relative_to(folder.resolve()):
        raise FetchError(f"{path} would be written outside {folder}, over a link; remove the link.")
    return target


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


def _write_record(plan: Plan, folder: Path) -> None:
    """Write what the folder is: record, licence, tables of slides and samples, sheets of the collection's own."""
    about = plan.collection
    before = {file.path: file for file in recorded_files(folder)} if (folder / RECORD).is_file() else {}
    files = before | {file.expected.path: file.expected for file in plan.files}
    record = {
        "collection": about.name,
        "revision": plan.revision,
        "licence": plan.licence,
        "citation": about.citation,
        "page": about.page,
        "files": [{"path": one.path, "bytes": one.bytes, "digest": one.digest} for one in files.values()],
    }
    licence = (
        f"{about.title}\n\nLicence: {plan.licence}\nCite: {about.citation}\nPage: {about.page}\n"
        f"Revision: {plan.revision}\nAccess: {about.access}\n"
    )
    _write(folder / RECORD, json.dumps(record, indent=1))
    _write(folder / "LICENCE.txt", licence)
    for name, rows in (("slides.csv", plan.slides), ("samples.csv", plan.samples)):
        if rows:
            _write(folder / name, _table(rows, folder / name))
    for name, text in plan.sheets.items():
        _write(_inside(folder, name), text)


def _table(rows: Sequence[Row], path: Path) -> str:
    """Rows as csv, after those of other slides that an earlier run left in the table."""
    merged: dict[str, Row] = {}
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as stream:
            merged = {row["slide"]: row for row in csv.DictReader(stream) if row.get("slide")}
    merged |= {row["slide"]: row for row in rows}
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows(merged.values())
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
