"""A process and those it starts, watched from outside: memory, and what others did meanwhile (on Linux)."""

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from benchmarks.environments import PeerError

_EVERY_S = 0.5
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Watched:
    """What a process printed last, and what it took.

    Attributes
    ----------
    found : dict
        The JSON of its last line.
    peak_mb : float
        Largest memory of it and its children together, MiB, shared pages counted once.
    wall_s, own_s : float
        Seconds it ran, and processor seconds of it and its children.
    others_s, idle_s : float
        Processor seconds that other processes took meanwhile, and that nobody took.
    """

    found: dict[str, Any]
    peak_mb: float
    wall_s: float
    own_s: float
    others_s: float
    idle_s: float


def watch(process: "subprocess.Popen[str]") -> Watched:
    """Wait for a process that prints JSON; raises `PeerError` with what it said if it fails."""
    peak = [0.0]
    start, busy, idle = time.perf_counter(), *_machine_s()
    before = os.times()

    def look() -> None:
        while process.poll() is None:
            peak[0] = max(peak[0], sum(_pss_mb(pid) for pid in _tree(process.pid)))
            time.sleep(_EVERY_S)

    looking = Thread(target=look, daemon=True)
    looking.start()
    out, errors = process.communicate()
    looking.join()
    wall = time.perf_counter() - start
    busy_after, idle_after = _machine_s()
    after = os.times()
    if process.returncode:
        raise PeerError(f"failed: {(errors.strip().splitlines() or ['without a word'])[-1][:200]}")
    own = after.children_user + after.children_system - before.children_user - before.children_system
    return Watched(
        found=json.loads(out.strip().splitlines()[-1]),
        peak_mb=peak[0],
        wall_s=wall,
        own_s=own,
        others_s=max(0.0, busy_after - busy - own),
        idle_s=idle_after - idle,
    )


def _machine_s() -> tuple[float, float]:
    """Processor seconds of all cores that were busy and idle since the machine started."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / _TICKS, (ticks[3] + ticks[4]) / _TICKS


def _tree(root: int) -> set[int]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:  # it has ended meanwhile
            continue
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _pss_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)
