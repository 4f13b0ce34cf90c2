"""The machine: cores, memory, instructions, graphics card, and room on its disks."""

import os
import platform
import resource
import shutil
from contextlib import suppress
from pathlib import Path

from indexer.doctor.findings import Finding
from indexer.settings import Settings

_GIB = 2**30
_LITTLE_MEMORY, _TOO_LITTLE_MEMORY = 8 * _GIB, 2 * _GIB
_LITTLE_ROOM, _TOO_LITTLE_ROOM = 20 * _GIB, _GIB
_FEW_FILES = 1_024
#: What a CPU may have, from the most helpful on: FAISS has a build for each, OpenVINO computes with what is there.
_INSTRUCTIONS = ("avx512f", "avx2", "asimd", "avx")


def look_at_machine() -> list[Finding]:
    """Cores, memory, instructions, open files, graphics card."""
    return [_cores(), _memory(), _instructions(), _open_files(), _gpu()]


def look_at_disks(places: dict[str, Path]) -> list[Finding]:
    """Room where each of some things is, or will be, written."""
    return [_room(what, place) for what, place in places.items()]


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache_place() -> Path:
    """Where downloads and copies of bucket indexes go."""
    return Settings().cache_dir


def _cores() -> Finding:
    n, allowed = cores(), _cgroup_cores()
    limited = f", of which this container may use {allowed:.1f}" if allowed is not None and allowed < n else ""
    return Finding("machine", "cores", f"{n}{limited} ({platform.machine()}, {platform.system()} {platform.release()})")


def _memory() -> Finding:
    found = memory_bytes()
    if found is None:
        return Finding("machine", "memory", "not told by this system", "note", "See that 8 GiB are free.")
    text = f"{found / _GIB:.1f} GiB"
    if found < _TOO_LITTLE_MEMORY:
        return Finding("machine", "memory", text, "broken", "An encoder and a slide need 2 GiB: use a larger machine.")
    if found < _LITTLE_MEMORY:
        return Finding("machine", "memory", text, "note", "Ingest with --workers 1; large counts need 8 GiB.")
    return Finding("machine", "memory", text)


def memory_bytes() -> int | None:
    """Memory of the machine or of the container, whichever is less; `None` if the system does not tell."""
    limits = []
    with suppress(ValueError, OSError, AttributeError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    told = _read("/sys/fs/cgroup/memory.max")
    if told.isdigit():
        limits.append(int(told))
    return min(limits, default=None)


def _cgroup_cores() -> float | None:
    quota, _, period = _read("/sys/fs/cgroup/cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _instructions() -> Finding:
    flags = set(_read("/proc/cpuinfo").split())
    if not flags:
        return Finding("machine", "instructions", "not told by this system")
    best = next((name for name in _INSTRUCTIONS if name in flags), None)
    extra = [name for name in ("avx512_vnni", "avx512_bf16", "amx_bf16") if name in flags]
    if best in {None, "avx"}:
        step = "Encoding and search run, but several times slower than on a CPU with AVX2."
        return Finding("machine", "instructions", best or "no AVX", "note", step)
    return Finding("machine", "instructions", ", ".join([best, *extra]) if best else "")


def _open_files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = 0 <= soft < _FEW_FILES
    step = "Raise it before ingesting thousands of slides: `ulimit -n 4096`." if few else ""
    return Finding("machine", "open files", f"{soft} allowed", "note" if few else "ok", step)


def _gpu() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("machine", "graphics card", f"not looked at: {error}", "note", "Mend torch, see packages.")
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count()))
        return Finding("machine", "graphics card", names, "ok", "Encode on it with --device cuda.")
    if Path("/proc/driver/nvidia/version").exists():
        step = "Install a torch that was built for CUDA: https://pytorch.org/get-started/locally/."
        return Finding(
            "machine", "graphics card", f"there, but torch {torch.__version__} does not see it", "note", step
        )
    return Finding("machine", "graphics card", "none; encoding runs on the CPU")


def _room(what: str, place: Path) -> Finding:
    there = next((folder for folder in (place, *place.absolute().parents) if folder.exists()), Path("/"))
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding("disk", what, f"{place}: {error}", "broken", "Give a folder of this machine.")
    text = f"{free / _GIB:.0f} GiB free at {place}"
    if not os.access(there, os.W_OK):
        return Finding("disk", what, f"{there} may not be written", "broken", "Give a folder you may write to.")
    if free < _TOO_LITTLE_ROOM:
        return Finding("disk", what, text, "broken", "Free some space: less than 1 GiB is left.")
    if free < _LITTLE_ROOM:
        step = "Enough for small runs; `histoseek ingest --dry-run` says what one needs."
        return Finding("disk", what, text, "note", step)
    return Finding("disk", what, text)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
