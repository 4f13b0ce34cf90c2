"""The run of an ingest against what its parts cost: `python -m benchmarks.ingest [--json] [--quick]`.

On a generated 20,000 x 20,000 slide like those of Aperio scanners (`--side` for another size) and on a real one, the
processor time of reading alone and of encoding alone is measured, then a whole ingest, each in a process of its own.
Their sum over the cores is the least wall time that any order of the work could take: the bound. The share of it that
the run reaches counts the cores it could have: what other processes of the machine took is taken off and is told.
LazySlide extracts features of some tiles with the same network, in an environment that is made once in the cache
folder, and is held against the run by processor time, which other processes disturb least; PyTorch as it comes
encodes some of them. `--quick` is a slide of 5,000 x 5,000 with LazySlide on that alone and without PyTorch as it
comes, within 50 seconds on two free cores once that environment is made.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.environments import PeerError, python_with
from benchmarks.generated_pyramid import write_pyramid
from benchmarks.ingest_run import STRIDE_UM
from benchmarks.process_tree import Watched, watch
from benchmarks.report import Row, markdown, show, write_between_marks
from encoders.registry import open_space
from indexer.datasets.manifest import load_manifest
from indexer.errors import DataError
from indexer.settings import Settings
from indexer.sources import open_sources

_SIDE_PX, _QUICK_SIDE_PX = 20_000, 5_000
_REAL, _REAL_NAME, _REAL_STRIDE_UM = (
    "cmu1",
    "CMU-1-Small-Region",
    60.0,
)  # a small region: tiles overlap, so that there are enough to measure
_PEER_TILES, _QUICK_PEER_TILES = 96, 8
_PACKAGES = ("lazyslide==0.13.0", "torch==2.13.0")
_REPO = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class _Case:
    """A slide and how it is tiled."""

    name: str
    path: Path
    stride_um: float
    peer_tiles: int


def measure(side_px: int, peer_tiles: int, *, workers: int, peers: bool, quick: bool) -> Iterator[Row]:
    """Rows of the generated slide and of the real one."""
    path = write_pyramid(Settings().cache_dir / "benchmarks" / f"pyramid-{side_px}.svs", side_px)
    generated = _Case(f"generated {side_px:,} px", path, STRIDE_UM, peer_tiles)
    yield from _rows(generated, workers, peers=peers, eager=peers and not quick)
    try:
        real = open_sources(_REAL, manifest=load_manifest())[0].image_path
    except DataError as error:
        yield Row("ingest", "real slide", None, "tiles/s", None, 0, f"not on this machine: {error}")
        return
    if real is not None:
        full = peers and not quick
        yield from _rows(_Case(_REAL_NAME, real, _REAL_STRIDE_UM, peer_tiles), workers, peers=full, eager=full)


def _rows(case: _Case, workers: int, *, peers: bool, eager: bool) -> Iterator[Row]:
    def row(name: str, value: float | None, unit: str, against: str | None = None, note: str = "") -> Row:
        return Row("ingest", f"{case.name}: {name}", value, unit, against, n, note)

    place = (str(case.path), str(case.stride_um))
    reading = _part("reading", *place)
    n = int(reading["n"])
    encoding = _part("encoding", *place, str(n))
    with tempfile.TemporaryDirectory() as folder:
        watched = _watched("run", *place, f"{folder}/index", str(workers))
    read_s, encode_s = reading["core_s"], encoding["core_s"] * n / encoding["n"]
    cores = _cores()
    wall_s = watched.found["wall_s"]
    free = max(0.1, (cores - watched.others_s / watched.wall_s) * wall_s)
    bound = f"{case.name}: bound, tiles/s"
    yield row("reading alone, core-ms a tile", read_s / n * 1e3, "core-ms/tile")
    yield row("encoding alone, core-ms a tile", encode_s / n * 1e3, "core-ms/tile")
    yield row("bound, tiles/s", n * cores / (read_s + encode_s), "tiles/s", None, f"{cores} cores")
    yield row(
        "run, tiles/s",
        n / wall_s,
        "tiles/s",
        bound,
        f"{workers} reading processes; {_said(watched, cores * watched.wall_s)}",
    )
    yield row("share of the bound", (read_s + encode_s) / free, "share", None, "of the cores left by other processes")
    yield row("peak memory, MiB", watched.peak_mb, "MiB", None, "of all its processes together, shared pages once")
    yield row("the whole run, core-ms a tile", watched.own_s / n * 1e3, "core-ms/tile", None, "its start included")
    if eager:
        alone = _part("eager", *place, str(n))
        rate = alone["n"] * cores / alone["core_s"]
        yield row("encoding in PyTorch eager, tiles/s", rate, "tiles/s", None, "from its processor time")
    if peers:
        yield _peer_row(case, watched.own_s / n * 1e3, row)


def _peer_row(case: _Case, core_ms: float, row: Callable[..., Row]) -> Row:
    """How many times the processor time of a tile LazySlide's feature extraction takes."""
    patch = open_space("mini").image.patch
    words = [str(case.path), str(case.stride_um), str(patch.side_um), str(patch.side_px), str(case.peer_tiles)]
    name = "processor time of LazySlide over ours"
    try:
        python = python_with("lazyslide", "lazyslide", _PACKAGES, shares_project=False)
        found = _start([str(python), "benchmarks/ingest_lazyslide.py", *words], path=str(_REPO)).found
    except PeerError as error:
        return row(name, None, "x", None, str(error))
    theirs = found["core_s"] / found["n"] * 1e3
    note = (
        f"LazySlide {found['version']} with the same network in PyTorch: {theirs:.0f} core-ms for each of {found['n']} "
        f"tiles, its start left out; ours {core_ms:.0f} with its start, tissue, JPEGs and index"
    )
    return row(name, theirs / core_ms, "x", None, note)


def _said(watched: Watched, core_s: float) -> str:
    return f"other processes took {watched.others_s / core_s:.0%} of the cores, {watched.idle_s / core_s:.0%} were idle"


def _part(*words: str) -> dict[str, Any]:
    return _watched(*words).found


def _watched(*words: str) -> Watched:
    return _start([sys.executable, "-m", "benchmarks.ingest_run", *words])


def _start(command: Sequence[str], *, path: str = "") -> Watched:
    """Run a part and watch it; raises `PeerError` with the last line it said if it fails."""
    threads = {"OMP_NUM_THREADS": str(_cores())} | ({"PYTHONPATH": path} if path else {})
    process = subprocess.Popen(  # noqa: S603  # fixed commands
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=_REPO,
        env={**os.environ, **threads},
    )
    return watch(process)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument("--side", type=int, default=_SIDE_PX, help="side of the generated slide in pixels")
    parser.add_argument("--workers", type=int, default=1, help="reading processes; one slide needs one")
    parser.add_argument("--quick", action="store_true", help=f"a slide of {_QUICK_SIDE_PX:,} px, few tiles for peers")
    parser.add_argument("--no-peers", action="store_true", help="without LazySlide")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page, docs/ingest.md")
    parser.add_argument("--json", action="store_true", dest="as_json")
    chosen = parser.parse_args(arguments)
    side, tiles = (_QUICK_SIDE_PX, _QUICK_PEER_TILES) if chosen.quick else (chosen.side, _PEER_TILES)
    start = time.perf_counter()
    rows = show(
        measure(side, tiles, workers=chosen.workers, peers=not chosen.no_peers, quick=chosen.quick),
        as_json=chosen.as_json,
    )
    if chosen.write:
        write_between_marks(chosen.write, markdown(rows))
    print(json.dumps({"seconds": round(time.perf_counter() - start, 1)}), file=sys.stderr)


if __name__ == "__main__":
    main()
