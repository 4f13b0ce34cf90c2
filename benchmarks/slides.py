"""Slides found by their means and by their prototypes, on her2st in the default space.

`python -m benchmarks.slides [--json] [--write docs/slides.md]` encodes every section, cuts some into smaller slides,
and asks each for its own patient, or for slides of other patients with the same main region. No slide of the asked
section answers. `random` is the mean of random orders of the same galleries.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from benchmarks.report import Row, markdown, show, write_between_marks
from encoders.aggregates import SlideAggregator
from encoders.aggregators import MEAN, open_aggregator
from encoders.contracts import Vectors
from encoders.registry import open_space
from encoders.space import Space
from indexer.datasets.manifest import load_manifest
from indexer.slides import Expression, Pixels, SlideSource
from indexer.sources import open_sources
from indexer.store.aggregates import SlideAggregate
from indexer.tissue.tiles import read_patches
from search.retrieval.slide_matching import Match, match_slides
from search.training.run import MINI_DATA

Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
#: (aggregator, how parts meet)
METHODS: tuple[tuple[str, Match], ...] = (
    (MEAN, "best"),
    *((f"prototypes-{n}", how) for how in get_args(Match) for n in (8, 16)),
)
_FEWEST, _N_RANDOM, _LEVELS = 8, 200, 8
_UNKNOWN = (None, "undetermined")


@dataclass(frozen=True, slots=True)
class Piece:
    """A section or a part of one: its vectors, what it is of, and the colour histogram of its pictures."""

    section: str
    patient: str
    vectors: Vectors
    region: str | None = None
    colours: Doubles | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """Vectors of a section centred on the training sections, one a spot with a known gene (`picture`: one a spot).

    `colours` are histograms of the pictures, one a spot.
    """

    slide: str
    patient: str
    xy_px: Doubles
    expression: Vectors
    regions: Sequence[str | None]
    picture: Vectors | None
    colours: Doubles | None


def measure() -> Iterator[Row]:
    """Rows of all questions."""
    space = open_space("mini")
    sections = [_encoded(source, space) for source in open_sources(MINI_DATA, manifest=load_manifest())]
    whole = [Piece(s.slide, s.patient, s.expression) for s in sections]
    yield from _rows("expression, whole sections: own patient", whole, _same_patient, _own_section)
    quarters = [piece for section in sections for piece in _cut(section, 2, section.expression)]
    yield from _rows("expression, quarters: own patient", quarters, _same_patient, _own_section)
    pictured = [piece for s in sections if s.picture is not None for piece in _cut(s, 2, s.picture)]
    yield from _rows("picture, quarters: own patient", pictured, _same_patient, _own_section)
    labelled = [piece for section in sections for piece in _cut(section, 3, section.expression) if piece.region]
    yield from _rows("expression, ninths: main region in other patients", labelled, _same_region, _same_patient)


def ranked_measures(scores: Doubles, relevant: Mask, left_out: Mask) -> tuple[float, float, int]:
    """Share of queries whose first answer is relevant, mean average precision over all answers, and queries.

    Queries without a relevant answer are not counted; ties keep the order of the slides.
    """
    hits, precisions = [], []
    for query in range(len(scores)):
        gallery = np.flatnonzero(~left_out[query])
        right = relevant[query, gallery[np.argsort(-scores[query, gallery], kind="stable")]]
        if right.any():
            hits.append(float(right[0]))
            precisions.append(float((np.cumsum(right) / np.arange(1, len(right) + 1))[right].mean()))
    return float(np.mean(hits)), float(np.mean(precisions)), len(hits)


def _rows(
    question: str,
    pieces: Sequence[Piece],
    relevant: Callable[[Piece, Piece], bool],
    excluded: Callable[[Piece, Piece], bool],
) -> Iterator[Row]:
    right = np.array([[relevant(a, b) for b in pieces] for a in pieces])
    left_out = np.array([[a is b or excluded(a, b) for b in pieces] for a in pieces])
    n_gallery = round(float((~left_out).sum(axis=1).mean()))
    rng = np.random.default_rng(0)
    drawn = [ranked_measures(rng.random(right.shape), right, left_out)[:2] for _ in range(_N_RANDOM)]
    chance = np.mean(drawn, axis=0)
    measured = {
        (name if name == MEAN else f"{name}, {how}"): ranked_measures(_scores(pieces, name, how), right, left_out)
        for name, how in METHODS
    }
    if all(piece.colours is not None for piece in pieces):
        measured["colour histogram"] = ranked_measures(_colour_scores(pieces), right, left_out)
    for place, metric in enumerate(("hit@1", "mAP")):
        name = f"{question} {metric}"
        for method, found in measured.items():
            label = name if method == MEAN else f"{name} ({method})"
            note = f"{found[2]} queries" if method == MEAN else ""
            yield Row("slides", label, float(found[place]), "share", f"{name} (random)", n_gallery, note)
        yield Row("slides", f"{name} (random)", float(chance[place]), "share", None, n_gallery)


def _scores(pieces: Sequence[Piece], name: str, how: Match) -> Doubles:
    aggregator = open_aggregator(name)
    parts = [_parts(piece, aggregator) for piece in pieces]
    scores = np.eye(len(parts))
    for first, second in combinations(range(len(parts)), 2):
        scores[first, second] = scores[second, first] = match_slides(parts[first], parts[second], how).score
    return scores


def _colour_scores(pieces: Sequence[Piece]) -> Doubles:
    """Share of colours that two pieces have in common (Swain & Ballard, IJCV 1991)."""
    histograms = np.stack([piece.colours for piece in pieces if piece.colours is not None])
    return np.array([np.minimum(one, histograms).sum(axis=1) for one in histograms])


def _parts(piece: Piece, aggregator: SlideAggregator) -> SlideAggregate:
    found = aggregator.aggregate(piece.vectors)
    return SlideAggregate(found.vectors, found.shares, ("",) * len(found.shares))


def _same_patient(first: Piece, second: Piece) -> bool:
    return first.patient == second.patient


def _own_section(first: Piece, second: Piece) -> bool:
    return first.section == second.section


def _same_region(first: Piece, second: Piece) -> bool:
    return first.region == second.region


def _encoded(source: SlideSource, space: Space) -> Section:
    expression = source.read_expression()
    if expression is None or expression.xy_px is None:
        raise ValueError(f"Section {source.facts.slide} has no counts or no positions.")
    vectors = space.expression.encode_counts(expression.counts, expression.genes).vectors
    known = np.flatnonzero(vectors.any(axis=1))
    labels = expression.labels or [None] * len(vectors)
    picture, colours = _pictured(source, expression, space)
    return Section(
        slide=source.facts.slide,
        patient=source.facts.patient,
        xy_px=expression.xy_px[known],
        expression=vectors[known],
        regions=[labels[row] for row in known.tolist()],
        picture=None if picture is None else picture[known],
        colours=None if colours is None else colours[known],
    )


def _pictured(source: SlideSource, expression: Expression, space: Space) -> tuple[Vectors, Doubles] | tuple[None, None]:
    image = source.open_image()
    if image is None or expression.xy_px is None or source.facts.mpp is None:
        return None, None
    patch = space.image.patch
    side_px = patch.side_um / source.facts.mpp
    batches = read_patches(image, expression.xy_px, side_px=side_px, out_px=patch.side_px)
    pixels = np.concatenate(list(batches))
    image.close()
    vectors = space.image.project(space.image.features(pixels, stain=space.image.stain_of(pixels)))
    return vectors, np.stack([_histogram(one) for one in pixels])


def _histogram(pixels: Pixels) -> Doubles:
    """Share of pixels in each of 8 x 8 x 8 colours, float64 `(512,)`."""
    level = pixels.reshape(-1, 3).astype(np.int64) * _LEVELS // 256
    codes = (level[:, 0] * _LEVELS + level[:, 1]) * _LEVELS + level[:, 2]
    return np.bincount(codes, minlength=_LEVELS**3) / len(codes)


def _cut(section: Section, n: int, vectors: Vectors) -> Iterator[Piece]:
    """`n` times `n` parts of a section with about as many spots in each row and column; small ones are left out."""
    cells = np.zeros(len(vectors), dtype=np.int64)
    for axis in (0, 1):
        at = section.xy_px[:, axis]
        cells = cells * n + np.searchsorted(np.quantile(at, np.arange(1, n) / n), at)
    for cell in range(n * n):
        inside = np.flatnonzero(cells == cell)
        if len(inside) >= _FEWEST:
            named = Counter(section.regions[i] for i in inside.tolist() if section.regions[i] not in _UNKNOWN)
            region = named.most_common(1)[0][0] if named else None
            colours = None if section.colours is None else section.colours[inside].mean(axis=0)
            yield Piece(section.slide, section.patient, vectors[inside], region, colours)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page, docs/slides.md")
    wanted = parser.parse_args()
    rows = show(measure(), as_json=wanted.json)
    if wanted.write:
        write_between_marks(wanted.write, markdown(rows))


if __name__ == "__main__":
    main()
