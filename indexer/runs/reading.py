"""Reading the records of an index's runs."""

import os
import socket

from pydantic import ValidationError

from indexer.errors import IndexFormatError, VersionError
from indexer.runs.record import RECORD, RUNS, RunRecord, is_id
from indexer.store.location import Location


def run_ids(location: Location) -> list[str]:
    """Ids of the runs that left a record, oldest first."""
    return sorted(name for name in location.names(RUNS) if is_id(name))


def read_run(location: Location, run_id: str) -> RunRecord:
    """Record of a run, by its id or the first letters of it; one whose process is gone was killed.

    Raises
    ------
    VersionError
        If there is no such run, or several.
    IndexFormatError
        If its record is damaged.
    """
    fitting = [found for found in run_ids(location) if found.startswith(run_id)] if run_id else []
    if len(fitting) != 1:
        raise VersionError(
            f"Index {location} has {len(fitting) or 'no'} runs {run_id!r}; expected one. "
            "`histoseek index runs` lists them."
        )
    try:
        run = RunRecord.model_validate_json(location.read(f"{RUNS}/{fitting[0]}/{RECORD}"))
    except (OSError, ValidationError) as error:
        raise IndexFormatError(
            f"The record of run {fitting[0]} of index {location} is damaged: {str(error).splitlines()[0]}. "
            f"Delete the folder {RUNS}/{fitting[0]}; nothing else needs it."
        ) from error
    return run.model_copy(update={"state": "killed"}) if run.state == "running" and not is_alive(run) else run


def latest_runs(location: Location, n: int) -> list[RunRecord]:
    """The newest runs that have a whole record, newest first."""
    found: list[RunRecord] = []
    for run_id in reversed(run_ids(location)):
        if len(found) == n:
            break
        try:
            found.append(read_run(location, run_id))
        except IndexFormatError:
            continue
    return found


def is_alive(run: RunRecord) -> bool:
    """Whether the process of a run may still be there: it is, on this host, or the run is of another host."""
    if run.host != socket.gethostname():
        return True
    if run.pid == os.getpid():
        return False
    try:
        os.kill(run.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
