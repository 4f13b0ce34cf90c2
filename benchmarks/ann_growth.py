"""HistoSeek at several sizes: what grows how."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.ann_data import generate
from benchmarks.ann_rounds import Plan, measure_all
from benchmarks.report import Row

_OURS = "HistoSeek"
_FILTERS = ("unfiltered", "filtered-1%", "filtered-10%", "correlated-filter")


def growth_rows(sizes: Sequence[int], folder: Path, plan: Plan) -> Iterator[Row]:
    """Cost at each size, then the exponent `b` of `cost ~ n ** b` fitted over all of them, for each cost."""
    costs: dict[str, list[tuple[int, float]]] = {}
    for n in sizes:
        place = folder / str(n)
        found = measure_all([_OURS], generate(place / "data", n), place, plan)[_OURS]
        at: dict[str, tuple[float | None, str]] = {f"{name} p50": (found.p(name), "ms") for name in _FILTERS}
        at["build"] = (found.build_s, "s")
        at["anonymous memory after the queries"] = (found.memory.get("anonymous"), "MiB")
        for cost, (value, unit) in at.items():
            yield Row("ann growth", f"{cost} at {n:,}", value, unit, None, n, found.missing.get("", ""))
            if value is not None and value > 0:
                costs.setdefault(cost, []).append((n, value))
        for name in _FILTERS:
            yield Row("ann growth", f"{name} recall@10 at {n:,}", found.mean_recall(name), "share", None, n)
    for cost, points in costs.items():
        if len(points) > 1:
            ns, values = np.log(np.array(points, dtype=np.float64)).T
            exponent = float(np.polyfit(ns, values, 1)[0])
            yield Row("ann growth", f"{cost}, exponent", exponent, "", None, points[-1][0], f"over {len(points)} sizes")
