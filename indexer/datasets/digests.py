"""Is a file the one that is meant: its digest, computed once and remembered by size and modification time."""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_LOG = logging.getLogger(__name__)
_BLOCK = 1 << 20

#: How servers write digests down, by the name they have here; git's is that of a blob, size first.
ALGORITHMS = {"sha256": "SHA-256", "md5": "MD5", "git-sha1": "git SHA-1"}


@dataclass(frozen=True, slots=True)
class Expected:
    """What a file must be.

    Attributes
    ----------
    path : str
        Below the folder or mirror that holds it, with `/`.
    bytes : int or None
        Exact size; `None` where its server does not say.
    digest : str
        `sha256:`, `md5:` or `git-sha1:` and hexadecimal digits; empty where its server gives none.
    """

    path: str
    bytes: int | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class FileState:
    """Where one file of the manifest stands on this machine.

    Attributes
    ----------
    path : str
        The file's `path` in the manifest or the collection.
    state : str
        `verified`, `missing` (nowhere it is looked for) or `wrong` (size or digest differ).
    where : Path or None
        The file looked at, `None` if missing.
    reason : str
        What is wrong, empty if verified.
    """

    path: str
    state: Literal["verified", "missing", "wrong"]
    where: Path | None = None
    reason: str = ""


def digest_of(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file by one of `ALGORITHMS`."""
    digest = hashlib.new("sha1" if algorithm == "git-sha1" else algorithm, usedforsecurity=False)
    if algorithm == "git-sha1":
        digest.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    return digest_of(path, "sha256")


def difference(file: Expected, where: Path) -> str:
    """In what a file differs from what was expected, as `MD5 ...; expected ...`; empty if it does not."""
    algorithm, _, wanted = file.digest.partition(":")
    if not wanted:
        return ""
    found = digest_of(where, algorithm)
    return "" if found == wanted else f"{ALGORITHMS[algorithm]} {found}; expected {wanted}"


def check_file(file: Expected, where: Path, cache_dir: Path) -> FileState:
    """Compare a file with what is expected; one verified before and unchanged since is not read again."""
    if not where.is_file():
        return FileState(file.path, "missing", None, f"{where} does not exist")
    size = where.stat().st_size
    if file.bytes is not None and size != file.bytes:
        return FileState(file.path, "wrong", where, f"{where} has {size:,} bytes; expected {file.bytes:,}")
    if _is_noted(file, where, cache_dir):
        return FileState(file.path, "verified", where)
    wrong = difference(file, where)
    if wrong:
        return FileState(file.path, "wrong", where, f"{where} has {wrong}")
    note_verified(file, where, cache_dir)
    return FileState(file.path, "verified", where)


def note_verified(file: Expected, where: Path, cache_dir: Path) -> None:
    """Remember that `where` holds `file`. A cache that cannot be written costs time at the next start, no more."""
    note = _note_path(where, cache_dir)
    temporary = note.with_suffix(".tmp")
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(_stamp(file, where)), encoding="utf-8")
        temporary.replace(note)
    except OSError as error:
        _LOG.warning("Cannot note in %s that %s was verified: %s", cache_dir, file.path, error.strerror)


def _is_noted(file: Expected, where: Path, cache_dir: Path) -> bool:
    note = _note_path(where, cache_dir)
    try:
        return bool(json.loads(note.read_text(encoding="utf-8")) == _stamp(file, where))
    except (OSError, ValueError):  # no note yet, or one cut short: the file is read again
        return False


def _stamp(file: Expected, where: Path) -> dict[str, str | int]:
    stat = where.stat()
    return {"file": str(where.resolve()), "digest": file.digest, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _note_path(where: Path, cache_dir: Path) -> Path:
    name = hashlib.sha256(str(where.resolve()).encode()).hexdigest()[:32]
    return cache_dir / "verified" / f"{name}.json"
