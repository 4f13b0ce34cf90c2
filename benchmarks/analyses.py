"""What analyses are worth, in one run: `python -m benchmarks.analyses [--json] [--quick] [--write docs/analyses.md]`.

Cell types of spots of known composition beside Tangram, plain least squares, the mean and chance, and of all sections
of her2st beside the published ones; the pathologist's regions from marker genes; sections laid over each other after
a planted turn, scale and bend; expression predicted from pictures beside published ways, and its intervals on
patients they were not measured on; queries moved by examples, or of regions; p-values of pairs that do not belong
together. `--quick` takes fewer spots, sections and rounds of Tangram, and leaves out what needs the others.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.analyses_agreement import agreement_rows
from benchmarks.analyses_alignment import neighbour_rows, warp_rows
from benchmarks.analyses_annotation import ANNOTATED_SLIDES, annotation_rows, picture_rows
from benchmarks.analyses_calibration import calibration_rows, unseen_rows
from benchmarks.analyses_decomposition import decomposition_rows, tile_rows
from benchmarks.analyses_intervals import interval_rows
from benchmarks.analyses_prediction import prediction_rows
from benchmarks.analyses_queries import query_rows
from benchmarks.her2st_index import QUICK_SLIDES, her2st_engine
from benchmarks.report import Row, markdown, show, write_between_marks

_N_PAIRS = 10_000


def measure(*, quick: bool) -> Iterator[Row]:
    """All rows."""
    yield from decomposition_rows(n_spots=200 if quick else 500, epochs=200 if quick else 1_000)
    yield from _quick_rows() if quick else _rows()


def _quick_rows() -> Iterator[Row]:
    """What one index of few sections is enough for."""
    with her2st_engine(QUICK_SLIDES) as engine:
        yield from annotation_rows(engine, smooth=False)
        yield from warp_rows(engine)
        yield from query_rows(engine, every=3, seen=False)
        yield from tile_rows(engine)
        yield from prediction_rows(engine)
        yield from interval_rows(engine, n_spots=100)
        yield from calibration_rows(engine, n_pairs=_N_PAIRS)


def _rows() -> Iterator[Row]:
    yield from agreement_rows()
    with her2st_engine(ANNOTATED_SLIDES) as engine:
        yield from annotation_rows(engine, smooth=True)
        yield from picture_rows(engine)
    with her2st_engine() as engine:
        yield from warp_rows(engine)
        yield from neighbour_rows(engine)
        yield from query_rows(engine, every=1, seen=True)
        yield from tile_rows(engine)
        yield from prediction_rows(engine)
        yield from interval_rows(engine, n_spots=150)
        yield from calibration_rows(engine, n_pairs=_N_PAIRS)
    yield from unseen_rows(n_pairs=_N_PAIRS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.analyses", description=__doc__)
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--quick", action="store_true", help="less of everything, within 50 s")
    parser.add_argument("--write", type=Path, help="page whose table is made again")
    chosen = parser.parse_args(arguments)
    rows = show(measure(quick=chosen.quick), as_json=chosen.as_json)
    if chosen.write is not None:
        write_between_marks(chosen.write, markdown(rows))


if __name__ == "__main__":
    main()
