"""The peers of search at size, and a process for each engine."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.environments import PeerError, python_with

#: Engines that come with the project, and the packages the others are installed from.
OWN = ("HistoSeek", "LanceDB IVF_RQ", "LanceDB IVF_HNSW_SQ", "LanceDB defaults")
OWN_LIBRARIES = ("FAISS IVF-RaBitQ", "FAISS HNSW32", "FAISS Flat", "numpy", "torch")
PACKAGES: dict[str, tuple[str, ...]] = {
    "qdrant-edge": ("qdrant-edge-py==0.9.0",),
    "Chroma": ("chromadb==1.5.9",),
    "Milvus-lite": ("milvus-lite==3.2.2", "pymilvus==3.0.2"),
    "hnswlib": ("hnswlib==0.8.0",),
    "usearch": ("usearch==2.26.6",),
    "scikit-learn": ("scikit-learn==1.9.1",),
}
#: Their builds take longer than all the rest from a million rows on.
SLOW_BUILDERS = ("LanceDB IVF_HNSW_SQ", "qdrant-edge", "Chroma", "Milvus-lite", "hnswlib", "usearch", "scikit-learn")
_REPO = Path(__file__).resolve().parents[1]


def python_of(engine: str) -> Path:
    """Interpreter that has an engine, whose packages are installed first; raises `PeerError`."""
    return python_with("peers", engine, PACKAGES[engine]) if engine in PACKAGES else Path(sys.executable)


class EngineProcess:
    """One engine in its process; a context manager."""

    def __init__(self, engine: str, data: Path, folder: Path) -> None:
        self.engine = engine
        python = python_of(engine)
        folder.mkdir(parents=True, exist_ok=True)
        quiet = {"ANONYMIZED_TELEMETRY": "False", "OMP_WAIT_POLICY": "passive", "RUST_LOG": "error"}
        self._log = (folder / "log.txt").open("w")
        self._process = subprocess.Popen(  # noqa: S603
            [str(python), "-m", "benchmarks.ann_worker", engine, str(data), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=_REPO,
            env={**os.environ, **quiet},
        )
        self._read()

    def ask(self, **command: Any) -> dict[str, Any]:
        """One command and its answer; raises `PeerError` if it failed or the engine does not offer it."""
        if self._process.stdin is None or self._process.poll() is not None:
            raise PeerError("failed: its process ended")
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        for reason in ("missing", "failed"):
            if reason in answer:
                raise PeerError(f"{reason}: {answer[reason]}")
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._log.close()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise PeerError("failed: its process ended; see log.txt in its folder")
        answer: dict[str, Any] = json.loads(line)
        return answer
