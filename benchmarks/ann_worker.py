"""One engine in a process of its own: commands come as JSON lines, answers go back the same way.

Each engine has its own process so that its memory, its threads and its imports are its own. What a query takes is
measured here, from the vector in hand to ten hits with their metadata in hand.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.ann_data import FILTERS, Data, Floats, K

#: Module and class of each engine.
ENGINES = {
    "HistoSeek": "benchmarks.ann_ours:HistoSeek",
    "LanceDB IVF_RQ": "benchmarks.ann_stores:LanceRq",
    "LanceDB IVF_HNSW_SQ": "benchmarks.ann_stores:LanceHnsw",
    "LanceDB defaults": "benchmarks.ann_stores:LanceDefaults",
    "qdrant-edge": "benchmarks.ann_stores:QdrantEdge",
    "Chroma": "benchmarks.ann_stores:Chroma",
    "Milvus-lite": "benchmarks.ann_stores:MilvusLite",
    "FAISS IVF-RaBitQ": "benchmarks.ann_libraries:FaissIvf",
    "FAISS HNSW32": "benchmarks.ann_libraries:FaissHnsw",
    "FAISS Flat": "benchmarks.ann_libraries:FaissFlat",
    "hnswlib": "benchmarks.ann_libraries:Hnswlib",
    "usearch": "benchmarks.ann_libraries:Usearch",
    "numpy": "benchmarks.ann_libraries:NumpyScan",
    "torch": "benchmarks.ann_libraries:TorchScan",
    "scikit-learn": "benchmarks.ann_libraries:Sklearn",
}


class Engine(Protocol):
    """What is measured."""

    #: Settings from cheap to thorough; the first that reaches the recall asked for is measured.
    knobs: Sequence[Any]

    def build(self, data: Data, folder: Path) -> None:
        """Make the index with its metadata."""

    def ask(self, query: Floats, name: str, own: str, knob: Any) -> list[int]:
        """Rows of the hits under a filter, best first, their metadata read; raises `NotImplementedError`."""

    def ask_many(self, queries: Floats, knob: Any) -> list[list[int]]:
        """The same for many queries without a filter."""


class Worker:
    """Carries out commands on one engine."""

    def __init__(self, name: str, data: Data, folder: Path) -> None:
        module, made = ENGINES[name].split(":")
        self.engine: Any = getattr(import_module(module), made)()
        self.data = data
        self.folder = folder
        self._knobs: dict[str, Any] = {}
        self._imports = memory_mb()

    def build(self) -> dict[str, Any]:
        """Make the index."""
        start, before = time.perf_counter(), time.process_time()
        self.engine.build(self.data, self.folder)
        return {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - before}

    def tune(self, name: str, queries: int, recall: float) -> dict[str, Any]:
        """Choose the cheapest setting that reaches a recall on the first queries, else the best."""
        reached: list[tuple[float, Any]] = []
        for knob in self.engine.knobs:
            found = [self._ask(name, i, knob)[1] for i in range(queries)]
            reached.append((float(np.mean(found)), knob))
            if reached[-1][0] >= recall:
                break
        self._knobs[name] = max(reached, key=lambda pair: pair[0])[1]
        return {"knob": str(self._knobs[name])}

    def measure(self, name: str, start: int, stop: int) -> dict[str, Any]:
        """Milliseconds, milliseconds of all its threads, and recall of some queries.

        They are asked twice. The second time is what counts: a system may have taken away what an engine has mapped or
        read while others were asked. The first is told as well (`first_ms`).
        """
        knob = self._knobs.get(name, self.engine.knobs[0])
        first_ms = [self._ask(name, i, knob)[0] for i in range(start, stop)]
        ms, recall, cpu_ms = [], [], []
        for i in range(start, stop):
            before = time.process_time()
            taken, share = self._ask(name, i, knob)
            cpu_ms.append(1_000 * (time.process_time() - before))
            ms.append(taken)
            recall.append(share)
        return {"first_ms": first_ms, "ms": ms, "recall": recall, "cpu_ms": cpu_ms}

    def many(self) -> dict[str, Any]:
        """Queries a second of one large batch, and its recall."""
        knob = self._knobs.get("unfiltered", self.engine.knobs[0])
        start = time.perf_counter()
        found = self.engine.ask_many(self.data.queries, knob)
        seconds = time.perf_counter() - start
        truth = self.data.truth("unfiltered")
        shares = [len(set(hits) & set(true)) / K for hits, true in zip(found, truth.tolist(), strict=True)]
        return {"qps": len(found) / seconds, "recall": float(np.mean(shares))}

    def memory(self) -> dict[str, Any]:
        """Memory in MiB, beyond that of the process with its engine imported."""
        now = memory_mb()
        return {part: now[part] - self._imports[part] for part in now}

    def special(self, verb: str) -> dict[str, Any]:
        """What only one engine can tell."""
        measured: dict[str, Any] = getattr(self.engine, verb)(self.data, self.folder)
        return measured

    def _ask(self, name: str, i: int, knob: Any) -> tuple[float, float]:
        query, own = self.data.queries[i], self.data.query_slides[i]
        start = time.perf_counter()
        hits = self.engine.ask(query, name, own, knob)
        ms = 1_000 * (time.perf_counter() - start)
        true = {row for row in self.data.truth(name)[i].tolist() if row >= 0}
        return ms, len(true & set(hits)) / max(1, len(true))


def condition(name: str, own: str) -> tuple[str, str, Any] | None:
    """Column, operator and value of a filter for a query of slide `own`."""
    found = FILTERS[name]
    if found is None:
        return None
    column, operator, value = found
    return column, operator, own if value == "own" else value


def sql(name: str, own: str) -> str | None:
    """The filter as a SQL condition."""
    found = condition(name, own)
    if found is None:
        return None
    column, operator, value = found
    return f"{column} {operator} {value!r}"


def memory_mb() -> dict[str, float]:
    """Resident and anonymous memory of this process, MiB; zeros where the system does not tell."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    except OSError:
        return {"rss": 0.0, "anonymous": 0.0}
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines[1:]}
    return {"rss": sizes["Rss"], "anonymous": sizes["Anonymous"]}


def main() -> None:
    """Serve commands of the form `{"do": ..., other arguments}` until the input ends."""
    name, folder, own = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # what an engine prints is no answer
        worker = Worker(name, Data(folder), own)
        print(json.dumps({"ready": name}), file=answers, flush=True)
        for line in sys.stdin:
            command = json.loads(line)
            call: Callable[..., dict[str, Any]] = getattr(worker, command.pop("do"))
            try:
                answer = call(**command)
            except NotImplementedError as error:
                answer = {"missing": str(error) or "not offered"}
            except Exception as error:  # noqa: BLE001  # a peer that fails is a row of its own, not the end of the run
                answer = {"failed": f"{type(error).__name__}: {error}"[:300]}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
