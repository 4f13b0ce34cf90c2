"""Is a file the one the manifest means: SHA-256, computed once and remembered by size and modification time."""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from indexer.datasets.manifest import DataFile

_LOG = logging.getLogger(__name__)
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class FileState:
    """Where one file of the manifest stands on this machine.

    Attributes
    ----------
    path : str
        The file's `path` in the manifest.
    state : str
        `verified`, `missing` (neither in the mirror nor in the cache) or `wrong` (size or digest differ).
    where : Path or None
        The file looked at, `None` if missing.
    reason : str
        What is wrong, empty if verified.
    """

    path: str
    state: Literal["verified", "missing", "wrong"]
    where: Path | None = None
    reason: str = ""


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def check_file(file: DataFile, where: Path, cache_dir: Path) -> FileState:
    """Compare a file with its entry; one that was verified before and has not changed since is not read again."""
    if not where.is_file():
        return FileState(file.path, "missing", None, f"{where} does not exist")
    size = where.stat().st_size
    if size != file.bytes:
        return FileState(file.path, "wrong", where, f"{where} has {size:,} bytes; expected {file.bytes:,}")
    if _is_noted(file, where, cache_dir):
        return FileState(file.path, "verified", where)
    found = sha256_of(where)
    if found != file.sha256:
        return FileState(file.path, "wrong", where, f"{where} has SHA-256 {found}; expected {file.sha256}")
    note_verified(file, where, cache_dir)
    return FileState(file.path, "verified", where)


def note_verified(file: DataFile, where: Path, cache_dir: Path) -> None:
    """Remember that `where` holds `file`. A cache that cannot be written costs time at the next start, no more."""
    note = _note_path(where, cache_dir)
    temporary = note.with_suffix(".tmp")
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(_stamp(file, where)), encoding="utf-8")
        temporary.replace(note)
    except OSError as error:
        _LOG.warning("Cannot note in %s that %s was verified: %s", cache_dir, file.path, error.strerror)


def _is_noted(file: DataFile, where: Path, cache_dir: Path) -> bool:
    note = _note_path(where, cache_dir)
    try:
        return bool(json.loads(note.read_text(encoding="utf-8")) == _stamp(file, where))
    except (OSError, ValueError):  # no note yet, or one cut short: the file is read again
        return False


def _stamp(file: DataFile, where: Path) -> dict[str, str | int]:
    stat = where.stat()
    return {"file": str(where.resolve()), "sha256": file.sha256, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _note_path(where: Path, cache_dir: Path) -> Path:
    name = hashlib.sha256(str(where.resolve()).encode()).hexdigest()[:32]
    return cache_dir / "verified" / f"{name}.json"
