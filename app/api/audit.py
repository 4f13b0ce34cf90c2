"""The log of questions: who asked what, when, how long it took and how many hits there were; no pixels, no vectors."""

import json
import logging
import os
from datetime import UTC, datetime
from functools import cache
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from app.errors import ShowError

_MAX_BYTES = 10 * 1024 * 1024
_KEPT_FILES = 5
_MAX_TEXT = 1_000
_READ_BYTES = 256 * 1024
_HANDED = "HISTOSEEK_SCREENS_AUDIT_LOG"  # tells the process of the screens where the log is


class AuditLog:
    """JSON lines in a file of this user's alone, which is put aside when it is full; five are kept.

    Raises
    ------
    ShowError
        If the file cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._handler: RotatingFileHandler | None = None
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handler = _Private(path, maxBytes=_MAX_BYTES, backupCount=_KEPT_FILES, encoding="utf-8")
        except OSError as error:
            raise ShowError(
                f"Cannot write the log of questions {path}: {error.strerror}. Name another file with --audit-log, or "
                "keep none with --no-audit-log."
            ) from error

    def note(self, *, who: str, verb: str, asked: dict[str, Any], **told: Any) -> None:
        """Write one line."""
        if self._handler is None:
            return
        entry = {"time": now(), "who": who, "verb": verb, "asked": _shortened(asked), **told}
        line = to_json(entry, inf_nan_mode="null", fallback=str).decode("utf-8")
        self._handler.handle(logging.LogRecord("audit", logging.INFO, "", 0, line, None, None))

    def close(self) -> None:
        """Close the file."""
        if self._handler is not None:
            self._handler.close()


@cache
def log_at(path: Path | None) -> AuditLog:
    """The log of this process at a path: one, since two would put the file aside each for itself.

    Raises `ShowError` as `AuditLog` does.
    """
    return AuditLog(path)


def environment_of_log(path: Path | None) -> dict[str, str]:
    """The variable that hands the log's place to the process of the screens; none without a log."""
    return {} if path is None else {_HANDED: str(path.resolve())}


def handed_log() -> Path | None:
    """Where the screens note questions, if the command handed a place over."""
    return Path(os.environ[_HANDED]) if os.environ.get(_HANDED) else None


def last_questions(path: Path, most: int) -> list[dict[str, Any]]:
    """The latest lines of a log, the newest first; of its end alone, however long it is."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _READ_BYTES))
            lines = stream.read().splitlines()
    except OSError:
        return []
    found: list[dict[str, Any]] = []
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the line that the end begins in the middle of
        if isinstance(entry, dict) and len(found) < most:
            found.append(entry)
    return found


class _Private(RotatingFileHandler):
    """Its files are read by this user alone."""

    def _open(self) -> TextIOWrapper:
        file = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return TextIOWrapper(os.fdopen(file, "ab"), encoding="utf-8", line_buffering=True)


class JsonLines(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback goes to the log and nowhere else."""
        entry: dict[str, Any] = {"time": now(), "level": record.levelname.lower(), "message": record.getMessage()}
        entry |= getattr(record, "request", {})
        if request_id := getattr(record, "request_id", None):
            entry["request_id"] = request_id
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def now() -> str:
    """The time, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _shortened(asked: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value[:_MAX_TEXT] + "..." if isinstance(value, str) and len(value) > _MAX_TEXT else value
        for name, value in asked.items()
    }
