"""The log of questions: who asked what, when, how long it took and how many hits there were; no pixels, no vectors."""

import json
import logging
import os
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from app.errors import ShowError

_MAX_BYTES = 10 * 1024 * 1024
_KEPT_FILES = 5
_MAX_TEXT = 1_000


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
