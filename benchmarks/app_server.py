"""A server of the HTTP API or of the screens in a process of its own, as a user starts it, and an index to ask."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

_WAIT_S = 120.0
_TILES, _COLUMNS, _TILE_PX = 2_000, 45, 256.0


@dataclass(frozen=True, slots=True)
class Served:
    """A running server.

    Attributes
    ----------
    url : str
        Where it is.
    began_s : float
        When the command was given, by `time.perf_counter`.
    started_s : float
        Seconds from the command to the first answer.
    log : Path
        What it wrote to stderr.
    """

    url: str
    began_s: float
    started_s: float
    log: Path

    def memory_mb(self) -> float:
        """Resident memory, MiB."""
        text = httpx.get(f"{self.url}/metrics", trust_env=False).text
        line = next(line for line in text.splitlines() if line.startswith("process_resident_memory_bytes "))
        return float(line.split()[1]) / 2**20


@contextlib.contextmanager
def serving(db: Path, folder: Path, *, screens: bool = False) -> Iterator[Served]:
    """Serve the API alone, or the screens, while the block runs.

    Raises
    ------
    RuntimeError
        With the log's last line, if the server does not answer.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", folder / "server.log"
    command = [sys.executable, "-c", "from app.cli import main; main()", "serve", "--db", str(db), "--port", str(port)]
    command += ["--rate-limit", "0", "--audit-log", str(folder / "questions.jsonl"), *([] if screens else ["--api"])]
    start = time.perf_counter()
    with log.open("w") as stream:
        process = subprocess.Popen(command, stderr=stream, stdout=stream)  # noqa: S603  # our own interpreter
    try:
        _await(process, f"{url}/_stcore/health" if screens else f"{url}/readyz", log)
        yield Served(url, start, time.perf_counter() - start, log)
        if process.poll() is not None:
            raise RuntimeError(f"The server ended with {process.returncode} while it was asked; see {log}.")
    finally:
        process.terminate()
        process.wait(timeout=20)


def make_index(folder: Path) -> Path:
    """A small index of generated sections, and of the one small svs of the manifest where it can be had."""
    from encoders.errors import HistoSeekError
    from encoders.registry import open_space
    from indexer.building.build import build_index
    from indexer.datasets.manifest import load_manifest
    from indexer.generated.sections import generated_sections
    from indexer.slides import SlideSource
    from indexer.sources import open_sources

    sources: list[SlideSource] = [*generated_sections(n_patients=2, side_px=1000)]
    with contextlib.suppress(HistoSeekError):  # no network: the rows of its tiles say so
        sources += open_sources("cmu1", manifest=load_manifest())
    build_index(folder, sources, open_space("mini"), tile_stride_um=100.0)
    return folder


def make_large_index(folder: Path, n_items: int) -> Path:
    """An index of that many tiles on slides of 2,000, with random vectors and places and without pictures."""
    import numpy as np

    from encoders.given_space import given_space
    from indexer.building.given_vectors import GivenVectors, index_vectors
    from indexer.slides import SlideFacts

    def slides() -> Iterator[GivenVectors]:
        random = np.random.default_rng(0)
        for number in range(-(-n_items // _TILES)):
            place = np.arange(min(_TILES, n_items - number * _TILES))
            x, y = place % _COLUMNS, place // _COLUMNS
            columns = {"x_px": _TILE_PX * x + _TILE_PX / 2, "y_px": _TILE_PX * y + _TILE_PX / 2}
            columns |= {"side_px": np.full(len(place), _TILE_PX), "side_um": np.full(len(place), _TILE_PX / 2)}
            slide, patient, cohort = f"S{number:05}", f"P{number // 2:05}", f"cohort {number % 7}"
            facts = SlideFacts(
                slide, patient, cohort, "breast", "none", "none", "none", "CC0-1.0", "generated", generated=True
            )
            names = [f"{column}x{row}" for column, row in zip(x.tolist(), y.tolist(), strict=True)]
            vectors = random.normal(size=(len(place), 512)).astype(np.float32)
            yield GivenVectors(facts, names, vectors, columns=columns)

    index_vectors(folder, slides(), given_space("generated vectors", 512).card)
    return folder


def _await(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(address, timeout=_WAIT_S, trust_env=False).is_success:
                return
        time.sleep(0.05)
    raise RuntimeError(f"The server does not answer: {(log.read_text().splitlines() or ['no word'])[-1]}")
