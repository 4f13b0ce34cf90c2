"""How good a space is: whether a spot's picture finds its own transcriptome, and the other way round.

Every figure comes with what chance gives on the same gallery, and with a baseline that sees colour only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Patches, Vectors
from encoders.recipe import Recipe
from encoders.sections import ExpressionSection, PairedSection
from encoders.space import QualityRow, Space
from encoders.training import align
from search.errors import QueryError
from search.quality.retrieval_quality import DIRECTIONS, own_ranks, rank_measures

_ON_CARD = ("R@5%", "R@10%", "median rank / N", "MRR")


@dataclass(frozen=True, slots=True)
class RetrievalMetrics:
    """One direction over one gallery in which every query has exactly one right answer.

    Attributes
    ----------
    values : dict of str to float
        `R@5%` and `R@10%`: share of queries whose own partner ranks in that top share (rounded up) of the gallery;
        `median rank / N`: 1-based, lower is better; `MRR`: mean of 1 / rank.
    random : dict of str to float
        What random ranks give.
    n_gallery : int
        Queries, and answers to choose from.
    """

    values: dict[str, float]
    random: dict[str, float]
    n_gallery: int


class ColourStatistics:
    """The baseline's image features: mean and standard deviation of red, green and blue."""

    name = "colour statistics"
    feature_dim = 6
    weights_sha256 = "none"

    def features(self, patches: Patches) -> Floats:
        """Features `float32 (n, 6)` of RGB uint8 patches `(n, side, side, 3)`."""
        rows = np.empty((len(patches), self.feature_dim), dtype=np.float32)
        for row, patch in zip(rows, patches, strict=True):
            pixels = patch.reshape(-1, 3)
            row[:3], row[3:] = pixels.mean(axis=0), pixels.std(axis=0)
        return rows


def retrieval_metrics(image_vectors: Vectors, expression_vectors: Vectors) -> dict[str, RetrievalMetrics]:
    """Rank of each spot's own partner among all spots, both ways.

    A partner tied with others is ranked behind them, so a space that maps everything to one point gets nothing.

    Parameters
    ----------
    image_vectors, expression_vectors : float32 (n, dim)
        Unit vectors; row i of both is the same spot.

    Raises
    ------
    QueryError
        If the two do not have the same shape, or there is no row.
    """
    if image_vectors.shape != expression_vectors.shape or len(image_vectors) == 0:
        raise QueryError(
            f"Got image vectors of shape {image_vectors.shape} and expression vectors of shape "
            f"{expression_vectors.shape}; expected the same spots in the same space, at least one."
        )
    n = len(image_vectors)
    ranks = {
        "image->expression": own_ranks(image_vectors, expression_vectors),
        "expression->image": own_ranks(expression_vectors, image_vectors),
    }
    chance = _summary(np.arange(1, n + 1))
    return {direction: RetrievalMetrics(_summary(r), chance, n) for direction, r in ranks.items()}


def encode_as_indexed(space: Space, section: PairedSection) -> tuple[Vectors, Vectors]:
    """Image and expression vectors of a section, each centred on the section, as an index holds them."""
    stain = space.image.stain_of(section.patches)
    features = space.image.features(section.patches, stain=stain)
    images = space.image.project(features, centre=features.mean(axis=0))
    expression = space.expression.encode_counts(section.counts, section.genes, by_section=True)
    return images, expression.vectors


def colour_baseline(sections: Sequence[PairedSection], extra: Sequence[ExpressionSection], recipe: Recipe) -> Space:
    """A space learned from the same pairs by the same recipe, except that its image side sees six colour numbers."""
    backbone = ColourStatistics()
    dim = min(backbone.feature_dim, recipe.dim)
    plain = replace(
        recipe, image_components=backbone.feature_dim, dim=dim, normalise_stain=False, loss="cca", orientations=1
    )
    return align(sections, extra, recipe=plain, backbone=backbone)


def measure_quality(space: Space, baseline: Space, held_out: Sequence[PairedSection]) -> list[QualityRow]:
    """Quality rows of a space for each held-out section, both directions, beside chance and the colour baseline."""
    rows = []
    for section in held_out:
        own, by_colour = encode_as_indexed(space, section), encode_as_indexed(baseline, section)
        rows += quality_rows(section.slide, section.patient, own, by_colour)
    return rows


def quality_rows(
    slide: str, patient: str, own: tuple[Vectors, Vectors], by_colour: tuple[Vectors, Vectors] | None
) -> list[QualityRow]:
    """Quality rows of one held-out section from its image and expression vectors, beside those of the baseline."""
    measured = retrieval_metrics(*own)
    colour = None if by_colour is None else retrieval_metrics(*by_colour)
    return [
        QualityRow(
            metric=metric,
            direction=direction,
            test=f"section {slide}, patient {patient} held out",
            value=round(value, 4),
            random=round(measured[direction].random[metric], 4),
            colour_baseline=None if colour is None else round(colour[direction].values[metric], 4),
            n_gallery=measured[direction].n_gallery,
        )
        for direction in DIRECTIONS
        for metric, value in measured[direction].values.items()
    ]


def _summary(ranks: npt.NDArray[np.int64]) -> dict[str, float]:
    measured = rank_measures(ranks, len(ranks))
    return {metric: measured[metric] for metric in _ON_CARD}
