"""Search at size against every peer, in one run: `python -m benchmarks.ann --n N [--json]`.

Each engine builds an index of the same generated vectors and metadata in a process of its own, chooses the cheapest
setting that reaches the recall asked for on some queries (HistoSeek has no setting and takes none), and then all answer
the same other queries under every filter in turn, round after round, so that a disturbance of the machine meets all.
A time is end to end: query vector in, ten hits with their metadata out; of each engine's turn the queries are asked
twice and the second time counts. `--quick` is 20,000 vectors and the peers that
are built in seconds, within a minute; `--growth 10000,100000` is HistoSeek alone at several sizes, with the exponents
of its costs. `--flat` asks with vectors of another modality, whose cosines to all rows lie close together.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.ann_data import generate
from benchmarks.ann_growth import growth_rows
from benchmarks.ann_peers import OWN, OWN_LIBRARIES, PACKAGES, SLOW_BUILDERS
from benchmarks.ann_rounds import Plan, measure_all
from benchmarks.ann_rows import own_rows, rows_of
from benchmarks.report import Row, show

_QUICK_N = 20_000
_QUICK_ENGINES = ("HistoSeek", "LanceDB IVF_RQ", "FAISS IVF-RaBitQ", "FAISS Flat", "numpy")
_SLOW_FROM = 300_000
_ENGINES = (*OWN, *OWN_LIBRARIES, *PACKAGES)


def measure(n: int, engines: Sequence[str], plan: Plan, folder: Path, *, flat: bool = False) -> Iterator[Row]:
    """All rows at one size."""
    data = generate(folder / "data", n, flat=flat)
    measured = measure_all(engines, data, folder, plan)
    yield from rows_of(measured, n)
    yield from own_rows(data, folder, measured, n)


def _chosen(peers: Sequence[str] | None, n: int, *, quick: bool) -> list[str]:
    if peers is not None:
        return ["HistoSeek", *(name for name in _ENGINES if name in peers and name != "HistoSeek")]
    if quick:
        return list(_QUICK_ENGINES)
    return [name for name in _ENGINES if n < _SLOW_FROM or name not in SLOW_BUILDERS]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ann", description=__doc__)
    parser.add_argument("--n", type=int, default=100_000, help="number of vectors")
    parser.add_argument(
        "--peers", nargs="*", choices=_ENGINES, help="peers to measure; all that fit the size if not given"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--recall", type=float, default=0.99, help="recall@10 that peers are set to reach")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_N:,} vectors, few queries")
    parser.add_argument("--flat", action="store_true", help="queries of another modality, as in CLIP-like spaces")
    parser.add_argument("--growth", help="sizes, separated by commas")
    parser.add_argument("--folder", type=Path, help="where indexes are built; by default a temporary folder")
    parser.add_argument("--json", action="store_true", dest="as_json")
    chosen = parser.parse_args(arguments)
    n = _QUICK_N if chosen.quick else chosen.n
    plan = Plan.quick(chosen.recall) if chosen.quick else Plan(rounds=chosen.rounds, recall=chosen.recall)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as temporary:
        folder = Path(temporary)
        if chosen.growth:
            show(growth_rows([int(size) for size in chosen.growth.split(",")], folder, plan), as_json=chosen.as_json)
        else:
            engines = _chosen(chosen.peers, n, quick=chosen.quick)
            show(measure(n, engines, plan, folder, flat=chosen.flat), as_json=chosen.as_json)


if __name__ == "__main__":
    main()
