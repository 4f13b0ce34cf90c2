"""The settings of a sidecar's searches that `index tune` has measured, in a file beside its vectors."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from indexer.errors import WriteError

TUNING_FILE = "tuning.json"


class Tuning(BaseModel):
    """What `index tune` measured on a sidecar, and the tolerance it set (see `indexer.vectors.evidence`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tolerance: float
    wanted_recall: float
    recall: float
    p50_ms: float
    p95_ms: float
    bytes_per_vector: float
    n_queries: int
    k: int


def read_tuning(path: Path) -> Tuning | None:
    """What `index tune` has measured and set for a sidecar; `None` if it has not."""
    try:
        return Tuning.model_validate_json((path / TUNING_FILE).read_text())
    except (OSError, ValidationError, UnicodeDecodeError):
        return None


def last_tuning(folder: Path) -> Tuning | None:
    """What was set last for any of the sidecars in a folder; `None` if nothing was."""
    tuned = list(folder.glob(f"[!.]*/{TUNING_FILE}"))
    newest = max(tuned, key=lambda path: path.stat().st_mtime_ns, default=None)
    return None if newest is None else read_tuning(newest.parent)


def write_tuning(path: Path, tuning: Tuning) -> None:
    """Set the knobs of a sidecar, in one step; raises `WriteError`."""
    part = path / f"{TUNING_FILE}.part"
    try:
        part.write_text(tuning.model_dump_json(indent=1))
        part.replace(path / TUNING_FILE)
    except OSError as error:
        raise WriteError(f"{path / TUNING_FILE} could not be written: {error}. Searches go on as before.") from error
