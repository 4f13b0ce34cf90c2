"""What a stored growth curve says, and what it predicts beyond it on paper.

    python -m benchmarks.ann --growth 10000,100000,1000000,3000000 --json > docs/growth.jsonl
    python -m benchmarks.ann_outlook docs/growth.jsonl docs/engines.md

The second command writes the table and the outlook between the marks of the page. Bytes a vector are those of the
largest size measured. Lists grow in number and in size with the root of the number of vectors: a query is carried on
with an exponent of a half, or the one between the two largest sizes if that is larger, and a build, which compares
every vector with every list, with one and a half. Prices are assumptions, stated beside what they give.
"""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.ann_growth import exponent
from benchmarks.report import write_between_marks

_MIB = 2**20
_SHOWN = (
    "unfiltered p50", "unfiltered p50 of CPU", "filtered-1% p50 of CPU", "filtered-10% p50 of CPU",
    "correlated-filter p50 of CPU", "unfiltered recall@10", "correlated-filter recall@10", "build", "build of CPU",
    "open to first answer", "open to first answer of CPU", "append of 10,000 rows", "append of 10,000 rows of CPU",
    "resident memory before the first query", "anonymous memory after twenty queries", "codes on disk",
    "columns on disk", "vectors on disk", "table on disk",
)  # fmt: skip
_QUERY, _BUILD = 0.5, 1.5
_OUTLOOK = (100_000_000, 1_000_000_000)


class Machine(NamedTuple):
    """What one machine holds, and assumed prices in USD a month."""

    memory_gib: int = 64
    disk_tb: float = 1.9
    usd: float = 350.0
    usd_per_tb_of_bucket: float = 23.0
    #: Of the memory, for codes and columns; the rest is the system's, and pages of the vectors.
    memory_share: float = 0.7
    disk_share: float = 0.8


class Growth:
    """The rows of a stored run: a value for each cost and size."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.values: dict[str, dict[int, float]] = {}
        for line in lines:
            row = json.loads(line)
            name, at, _ = row["row"].partition(" at ")
            if at and row["value"] is not None:
                self.values.setdefault(name, {})[int(row["n"])] = float(row["value"])
        self.sizes = sorted({n for of_cost in self.values.values() for n in of_cost})

    def exponent(self, cost: str, last: int = 0) -> float | None:
        """Exponent of a cost over all sizes, or over the `last` largest ones."""
        points = [(n, value) for n, value in sorted(self.values.get(cost, {}).items()) if value > 0][-last:]
        return exponent(points) if len(points) > 1 else None

    def at(self, cost: str, n: int, least: float) -> float:
        """A cost carried on from the largest size, with an exponent of at least so much."""
        largest = self.sizes[-1]
        return self.values[cost][largest] * float((n / largest) ** max(least, self.exponent(cost, 2) or least))

    def bytes_a_vector(self, cost: str) -> float:
        """Bytes of a file a vector at the largest size."""
        return self.values[cost][self.sizes[-1]] * _MIB / self.sizes[-1]


def table(growth: Growth) -> str:
    """Costs by size, with their exponents, as Markdown."""
    lines = [
        f"| | {' | '.join(f'{n:,}' for n in growth.sizes)} | exponent |",
        f"| --- |{' --- |' * (len(growth.sizes) + 1)}",
    ]
    for cost in _SHOWN:
        found = growth.values.get(cost, {})
        cells = [_number(found.get(n)) for n in growth.sizes]
        power = None if "recall" in cost else growth.exponent(cost)
        lines.append(f"| {cost}{_unit(cost)} | {' | '.join(cells)} | {'' if power is None else f'{power:.2f}'} |")
    return "\n".join(lines)


def outlook(growth: Growth, machine: Machine) -> str:
    """What larger indexes would take, as Markdown."""
    codes, columns = growth.bytes_a_vector("codes on disk"), growth.bytes_a_vector("columns on disk")
    vectors, stored = growth.bytes_a_vector("vectors on disk"), growth.bytes_a_vector("table on disk")
    in_memory = codes + columns
    assumed = (
        f"machines of {machine.memory_gib} GiB ({machine.memory_share:.0%} of it for codes and columns) and "
        f"{machine.disk_tb} TB ({machine.disk_share:.0%} of it for vectors) at USD {machine.usd:.0f} a month, a bucket "
        f"at USD {machine.usd_per_tb_of_bucket:.0f} a TB and month, and all machines asked at once, their hits merged"
    )
    lines = [
        (
            f"On paper, from the bytes at {growth.sizes[-1]:,} vectors: searches read {codes:.0f} bytes of codes and "
            f"{columns:.0f} of columns a vector, which want memory; {vectors:,.0f} are mapped from a local disk, and "
            f"{stored:,.0f} lie in the table, in a bucket. Assumed are {assumed}. CPU is carried on for "
            "each machine's share of the vectors, of a query with the root of their number, of a build with its power "
            "of one and a half. Merging over machines is not built yet: these are predictions."
        ),
        "",
        "| vectors | codes and columns | mapped | table | machines | CPU of a query | CPU of a build | USD a month |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for n in _OUTLOOK:
        room = machine.memory_share * machine.memory_gib * 2**30
        disk = machine.disk_share * machine.disk_tb * 1e12
        machines = math.ceil(max(n * in_memory / room, n * vectors / disk))
        cpu = growth.at("unfiltered p50 of CPU", n // machines, _QUERY)
        hours = growth.at("build of CPU", n // machines, _BUILD) / 3_600
        cost = machines * machine.usd + n * stored / 1e12 * machine.usd_per_tb_of_bucket
        lines.append(
            f"| {n:,} | {n * in_memory / 1e9:,.0f} GB | {n * vectors / 1e12:,.2f} TB | {n * stored / 1e12:,.2f} TB | "
            f"{machines} | {cpu:.1f} ms | {hours:,.0f} h | {cost:,.0f} |"
        )
    return "\n".join(lines)


def page(lines: Sequence[str]) -> str:
    """Table and outlook of a stored run."""
    growth = Growth(lines)
    return f"{table(growth)}\n\n{outlook(growth, Machine())}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _unit(cost: str) -> str:
    units = {"recall": "", "build": ", s", "memory": ", MiB", "disk": ", MiB"}
    return next((unit for part, unit in units.items() if part in cost), ", ms")


if __name__ == "__main__":
    write_between_marks(Path(sys.argv[2]), page(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()))
