"""Quality of the default space, trained here and measured on patients it has not seen.

`python -m benchmarks.quality [--json] [--write docs/quality.md]` trains the recipe of `mini` on her2st: on
patient C's pairs, tested on B4 (`C->B4`); on B4's pairs, tested on C2-C6 (`B4->C`); and once for each patient with a
labelled section, tested on its regions. The transcriptome side also sees the sections without images of all patients
but the tested one. Each figure is followed by what chance and the baselines give on the same gallery.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.her2st_sections import RememberedFeatures, Section, read_sections
from benchmarks.quality_prediction import prediction_figures_of
from benchmarks.quality_regions import QUESTION, region_figures
from benchmarks.quality_retrieval import Run, retrieval_figures_of, train_run
from benchmarks.report import Row, markdown, show, write_between_marks
from encoders.backbones import DefaultBackbone
from encoders.recipe import Recipe
from search.quality.gene_list_quality import LISTS
from search.quality.quality_figures import RANDOM, Figure, headline_group

NAME = "mini"
#: (name of the run, held-out patient)
RUNS = (("C->B4", "B"), ("B4->C", "C"))


def measure() -> Iterator[Row]:
    """Rows of both runs and of the regions."""
    recipe = Recipe(name=NAME)
    started = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {what}", file=sys.stderr, flush=True)

    tell("read her2st")
    sections = read_sections(recipe)
    backbone = RememberedFeatures(DefaultBackbone(device="cpu"))
    for name, patient in RUNS:
        tell(f"train {name}")
        yield from rows_of_run(name, train_run(sections, patient, recipe, backbone), sections)
    regions = region_figures(sections, recipe, backbone, tell=tell)
    yield from _rows("region", regions, question=QUESTION)
    tell("done")


def rows_of_run(name: str, run: Run, sections: Sequence[Section]) -> Iterator[Row]:
    """Rows of one training: retrieval, niches, gene lists, prediction."""
    figures = [*retrieval_figures_of(run), *prediction_figures_of(run, sections)]
    for question in dict.fromkeys(figure.question for figure in figures):
        own = [figure for figure in figures if figure.question == question]
        widest = headline_group(own)
        kept = [figure for figure in own if figure.group == widest]
        yield from _rows(f"{name} {question}", kept, question=question)


def _rows(name: str, figures: Sequence[Figure], *, question: str) -> Iterator[Row]:
    """Each metric of the space, then the same metric of every baseline."""
    asked = [figure for figure in figures if figure.question == question]
    for metric in dict.fromkeys(figure.metric for figure in asked):
        own = sorted((f for f in asked if f.metric == metric), key=lambda f: f.method != NAME)
        label = f"{name} {_metric_name(name, metric)}"
        has_random = any(figure.method == RANDOM for figure in own)
        for figure in own:
            row = label if figure.method == NAME else f"{label} ({figure.method})"
            against = f"{label} ({RANDOM})" if has_random and figure.method != RANDOM else None
            yield Row("quality", row, figure.value, _unit(metric), against, figure.n_gallery, _note(figure))


def _metric_name(name: str, metric: str) -> str:
    """The region row of the bar is the vote of five."""
    plain = metric.split(" (", maxsplit=1)[0]
    return plain.removesuffix(" @5") if name == "region" and plain == "macro-F1 @5" else plain


def _unit(metric: str) -> str:
    if "rank / N" in metric:
        return "rank / n"
    return "r" if "Pearson" in metric else "F1" if "F1" in metric else "share"


def _note(figure: Figure) -> str:
    interval = [] if figure.low is None or figure.high is None else [f"95 % {figure.low:.3f} to {figure.high:.3f}"]
    return "; ".join(
        [*interval, f"{figure.n_queries:,} queries, {figure.group}", *([figure.note] if figure.note else [])]
    )


def in_docs(row: Row) -> bool:
    """Whether a row stands in the docs: of gene lists the quoted recall only, of the rest no recall at a number."""
    metric = row.row.split(" (", maxsplit=1)[0]
    return metric.endswith("R@10%") if LISTS in metric else not metric.endswith((" R@1", " R@5", " R@10", " MRR"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page, docs/quality.md")
    wanted = parser.parse_args()
    rows = show(measure(), as_json=wanted.json)
    if wanted.write:
        write_between_marks(wanted.write, markdown(row for row in rows if in_docs(row)))


if __name__ == "__main__":
    main()
