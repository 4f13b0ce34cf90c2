"""All engines asked the same queries in turn."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ann_data import FILTERS, Data
from benchmarks.ann_peers import EngineProcess
from benchmarks.environments import PeerError


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is asked: queries to choose a setting by, rounds, and queries of a round for each filter."""

    tune: int = 40
    rounds: int = 5
    queries: int = 30
    recall: float = 0.99

    @classmethod
    def quick(cls, recall: float) -> "Plan":
        """Enough to see that all works."""
        return cls(tune=10, rounds=2, queries=10, recall=recall)


@dataclass(slots=True)
class Measured:
    """What was measured of one engine.

    Attributes
    ----------
    build_s, build_cpu_s : float or None
        Seconds to build, and those of all threads.
    ms, cpu_ms, recall : dict
        Milliseconds, those of all threads, and recall of each query, by filter.
    first_ms : dict
        Milliseconds of the same queries the first time they were asked in their round.
    knobs : dict
        The setting of each filter.
    missing : dict
        Why a filter, or everything (key ``""``), was not measured.
    memory : dict
        MiB, `rss` and `anonymous`.
    many : dict
        Queries a second and recall of one batch.
    """

    build_s: float | None = None
    build_cpu_s: float | None = None
    ms: dict[str, list[float]] = field(default_factory=dict)
    cpu_ms: dict[str, list[float]] = field(default_factory=dict)
    recall: dict[str, list[float]] = field(default_factory=dict)
    first_ms: dict[str, list[float]] = field(default_factory=dict)
    knobs: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    many: dict[str, Any] = field(default_factory=dict)

    def p(self, name: str, percent: float = 50) -> float | None:
        """Percentile of the milliseconds under a filter."""
        return float(np.percentile(self.ms[name], percent)) if self.ms.get(name) else None

    def first_p50(self, name: str) -> float | None:
        """Median of the milliseconds under a filter when queries were asked for the first time."""
        return float(np.median(self.first_ms[name])) if self.first_ms.get(name) else None

    def mean_recall(self, name: str) -> float | None:
        """Mean recall@10 under a filter."""
        return float(np.mean(self.recall[name])) if self.recall.get(name) else None


def measure_all(engines: Sequence[str], data: Data, folder: Path, plan: Plan) -> dict[str, Measured]:
    """Build and tune every engine, then ask all of them in rounds; what fails is noted and the others go on."""
    measured = {name: Measured() for name in engines}
    running: dict[str, EngineProcess] = {}
    try:
        for name in engines:
            _say(f"build {name}")
            try:
                running[name] = EngineProcess(name, data.folder, folder / name.replace(" ", "-"))
                built = running[name].ask(do="build")
                measured[name].build_s, measured[name].build_cpu_s = built["seconds"], built["cpu_seconds"]
            except PeerError as error:
                measured[name].missing[""] = str(error)
                if name in running:
                    running.pop(name).close()
        for name, process in running.items():
            _say(f"tune {name}")
            _tune(process, measured[name], plan)
        for number in range(plan.rounds):
            _say(f"round {number + 1} of {plan.rounds}")
            first = plan.tune + number * plan.queries
            _round(running, measured, range(first, first + plan.queries), len(data.queries))
        for name, process in running.items():
            _finish(process, measured[name])
    finally:
        for process in running.values():
            process.close()
    return measured


def _tune(process: EngineProcess, measured: Measured, plan: Plan) -> None:
    for name in FILTERS:
        try:
            measured.knobs[name] = process.ask(do="tune", name=name, queries=plan.tune, recall=plan.recall)["knob"]
        except PeerError as error:
            measured.missing[name] = str(error)


def _round(running: dict[str, EngineProcess], measured: dict[str, Measured], queries: range, n_queries: int) -> None:
    start = queries.start % max(1, n_queries - len(queries))
    for name in FILTERS:
        for engine, process in running.items():
            if name in measured[engine].missing:
                continue
            try:
                found = process.ask(do="measure", name=name, start=start, stop=start + len(queries))
            except PeerError as error:
                measured[engine].missing[name] = str(error)
                continue
            for part in ("ms", "first_ms", "cpu_ms", "recall"):
                getattr(measured[engine], part).setdefault(name, []).extend(found[part])


def _finish(process: EngineProcess, measured: Measured) -> None:
    try:
        measured.memory = process.ask(do="memory")
        process.ask(do="many")
        measured.many = process.ask(do="many")
    except PeerError as error:
        measured.missing["many"] = str(error)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
