"""Quality of the default space, trained here and measured on a patient it has not seen.

`python -m benchmarks.quality [--json]` trains `mini`'s recipe twice on her2st: on patient C's pairs, tested on B4, and
on B4's pairs, tested on C2-C6. The transcriptome side also sees the sections without images of all patients but the
tested one. Each figure is followed by what chance and a colour baseline give on the same gallery.
"""

import argparse
from collections.abc import Iterator
from itertools import groupby

import numpy as np

from benchmarks.report import Row, show
from encoders.space import QualityRow
from encoders.training import Recipe
from indexer.manifest import load_manifest
from indexer.sources import open_sources
from search.training import MINI_DATA, train_space

#: (name of the run, held-out patient)
RUNS = (("C->B4", "B"), ("B4->C", "C"))


def measure() -> Iterator[Row]:
    """Rows of both runs; figures over several sections are their mean."""
    for name, patient in RUNS:
        sources = open_sources(MINI_DATA, manifest=load_manifest())
        space = train_space(sources, held_out={patient}, recipe=Recipe(name="mini"))
        ordered = sorted(space.card.quality, key=lambda row: (row.direction, row.metric))
        for (direction, metric), rows in groupby(ordered, key=lambda row: (row.direction, row.metric)):
            yield from _rows(f"{name} {direction} {metric}", list(rows))


def _rows(name: str, sections: list[QualityRow]) -> Iterator[Row]:
    n = round(float(np.mean([row.n_gallery for row in sections])))
    note = f"mean of {len(sections)} sections, gallery n" if len(sections) > 1 else "one section, gallery n"
    unit = "rank / n" if "rank" in name else "share"
    yield Row("quality", name, float(np.mean([row.value for row in sections])), unit, f"{name} (random)", n, note)
    yield Row("quality", f"{name} (random)", float(np.mean([row.random for row in sections])), unit, None, n, note)
    colour = [row.colour_baseline for row in sections if row.colour_baseline is not None]
    yield Row("quality", f"{name} (colour statistics)", float(np.mean(colour)), unit, f"{name} (random)", n, note)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    show(measure(), as_json=parser.parse_args().json)


if __name__ == "__main__":
    main()
