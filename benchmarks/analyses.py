"""What analyses are worth, in one run: `python -m benchmarks.analyses [--json] [--quick]`.

Cell types of spots of known composition beside Tangram, plain least squares, the mean and chance; p-values of pairs
that do not belong together; sections laid over each other after a planted turn, scale and bend. `--quick` takes fewer
spots, pairs and rounds of Tangram.
"""

import argparse
from collections.abc import Iterator, Sequence

from benchmarks.analyses_alignment import alignment_rows
from benchmarks.analyses_calibration import calibration_rows
from benchmarks.analyses_decomposition import decomposition_rows
from benchmarks.analyses_intervals import interval_rows
from benchmarks.report import Row, show


def measure(*, quick: bool) -> Iterator[Row]:
    """All rows."""
    yield from decomposition_rows(n_spots=200 if quick else 500, epochs=300 if quick else 1_000)
    yield from alignment_rows()
    yield from interval_rows(n_spots=40 if quick else 150, quick=quick)
    yield from calibration_rows(n_pairs=10_000, quick=quick)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.analyses", description=__doc__)
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--quick", action="store_true", help="less of everything, within 50 s")
    chosen = parser.parse_args(arguments)
    show(measure(quick=chosen.quick), as_json=chosen.as_json)


if __name__ == "__main__":
    main()
