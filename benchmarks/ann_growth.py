"""HistoSeek at several sizes: what grows how.

`python -m benchmarks.ann --growth 10000,100000,1000000 --json` prints the rows; `benchmarks.ann_outlook` makes the
page's table and its outlook of rows that were stored.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.ann_data import Data, generate
from benchmarks.ann_peers import EngineProcess
from benchmarks.ann_rounds import Measured, Plan, measure_all
from benchmarks.environments import PeerError
from benchmarks.report import Row

BENCH = "ann growth"
_OURS = "HistoSeek"
_FILTERS = ("unfiltered", "filtered-1%", "filtered-10%", "correlated-filter")
_CODES = ("index.faiss", "codes.bin", "list_of.npy", "radii.npy", "basis.npy", "reduced.npy")
_COLUMNS = ("items.arrow", "row_ids.npy", "rows.npy")

Costs = dict[str, tuple[float | None, str]]


def growth_rows(sizes: Sequence[int], folder: Path, plan: Plan) -> Iterator[Row]:
    """Cost at each size, then the exponent `b` of `cost ~ n ** b` fitted over all of them, for each cost."""
    points: dict[str, list[tuple[int, float]]] = {}
    for n in sizes:
        place = folder / str(n)
        data = generate(place / "data", n)
        found = measure_all([_OURS], data, place, plan)[_OURS]
        costs = _times(found) | _sizes(place / _OURS / "histoseek") | _life(data, place)
        for cost, (value, unit) in costs.items():
            yield Row(BENCH, f"{cost} at {n:,}", value, unit, None, n, found.missing.get("", ""))
            if value is not None and value > 0:
                points.setdefault(cost, []).append((n, value))
        for name in _FILTERS:
            yield Row(BENCH, f"{name} recall@10 at {n:,}", found.mean_recall(name), "share", None, n)
    for cost, of_sizes in points.items():
        if len(of_sizes) > 1:
            note = f"over {len(of_sizes)} sizes"
            yield Row(BENCH, f"{cost}, exponent", exponent(of_sizes), "", None, of_sizes[-1][0], note)


def exponent(points: Sequence[tuple[int, float]]) -> float:
    """`b` of `cost ~ n ** b` by least squares on logarithms, of pairs of size and cost."""
    ns, values = np.log(np.array(points, dtype=np.float64)).T
    return float(np.polyfit(ns, values, 1)[0])


def _times(found: Measured) -> Costs:
    costs: Costs = {}
    for name in _FILTERS:
        costs[f"{name} p50"] = (found.p(name), "ms")
        cpu = found.cpu_ms.get(name)
        costs[f"{name} p50 of CPU"] = (float(np.median(cpu)) if cpu else None, "ms")
    costs["build"] = (found.build_s, "s")
    costs["build of CPU"] = (found.build_cpu_s, "s")
    return costs


def _sizes(index: Path) -> Costs:
    files = [path for path in index.rglob("*") if path.is_file()]

    def size(*names: str) -> tuple[float, str]:
        return sum(path.stat().st_size for path in files if path.name in names) / 2**20, "MiB"

    tables = sum(path.stat().st_size for path in files if "items.lance" in path.parts) / 2**20
    return {
        "codes on disk": size(*_CODES),
        "vectors on disk": size("vectors.npy"),
        "columns on disk": size(*_COLUMNS),
        "table on disk": (tables, "MiB"),
    }


def _life(data: Data, place: Path) -> Costs:
    """What a process of its own meets: opening, the memory of it, and appending."""
    process = EngineProcess(_OURS, data.folder, place / _OURS)
    try:
        opened = process.ask(do="special", verb="opened")
        costs: Costs = {
            "resident memory before the first query": (opened["rss"], "MiB"),
            "anonymous memory after twenty queries": (opened["anonymous_asked"], "MiB"),
        }
        again, more = process.ask(do="special", verb="reopen"), process.ask(do="special", verb="append")
        costs |= {
            "open to first answer": (again["ms"], "ms"),
            "open to first answer of CPU": (again["cpu_ms"], "ms"),
            "append of 10,000 rows": (1e7 / more["rows_per_s"], "ms"),
            "append of 10,000 rows of CPU": (more["cpu_ms"], "ms"),
        }
    except PeerError:
        return {}
    finally:
        process.close()
    return costs
