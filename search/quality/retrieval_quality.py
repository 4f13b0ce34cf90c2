"""Whether a spot's picture finds its own transcriptome in its section, and the other way round."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.contracts import Vectors, unit_rows
from search.errors import QueryError
from search.quality.quality_figures import N_DRAWS, RANDOM, Doubles, Figure, SectionFigures, summed_up

Ranks = npt.NDArray[np.int64]
DIRECTIONS = ("image->expression", "expression->image")
TOPS, PERCENTS = (1, 5, 10), (5, 10)
#: A rival this close counts as tied: the same pair of vectors may differ by that much in a matrix product.
TIE = 1e-6
#: Spots pooled on each side, the spot itself included.
NICHE_IMAGES, NICHE_EXPRESSION = 7, 5
METRICS = (*(f"R@{top}" for top in TOPS), *(f"R@{p}%" for p in PERCENTS), "median rank / N", "MRR")
_CHUNK, _DRAWS_AT_ONCE = 2_048, 50


@dataclass(frozen=True, slots=True)
class PairedVectors:
    """Both vectors of the spots of one section.

    Attributes
    ----------
    images, expression : float32 (n, dim)
        Unit rows; row i of both is the same spot.
    xy_px : float64 (n, 2) or None
        Centres in level-0 pixels, for the niche level.
    trained_on : bool
        Whether the space was trained on this patient.
    """

    slide: str
    patient: str
    images: Vectors
    expression: Vectors
    xy_px: npt.NDArray[np.float64] | None = None
    trained_on: bool = False


def own_ranks(queries: Vectors, gallery: Vectors) -> Ranks:
    """Rank, from 1, of each query's own answer (the same row of the gallery), int64 `(n,)`.

    An answer tied with others is ranked behind them, so a space that maps everything to one point gets nothing.

    Raises
    ------
    QueryError
        If the two do not have the same shape, there is no row, or a value is not finite.
    """
    if queries.shape != gallery.shape or len(queries) == 0:
        raise QueryError(
            f"Got vectors of shape {queries.shape} to ask with and of shape {gallery.shape} to answer; "
            "expected the same spots in the same space, at least one."
        )
    bad = np.flatnonzero(~(np.isfinite(queries).all(axis=1) & np.isfinite(gallery).all(axis=1)))
    if len(bad):
        raise QueryError(
            f"{len(bad)} of {len(queries)} spots have vectors that are not finite (row {bad[0]} is the first); "
            "ingest their slide again."
        )
    ranks = np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), _CHUNK):
        scores = queries[start : start + _CHUNK] @ gallery.T
        at = np.arange(len(scores))
        own = scores[at, start + at]
        ranks[start : start + _CHUNK] = (scores >= own[:, None] - TIE).sum(axis=1)
    return ranks


def rank_measures(ranks: Ranks, n_gallery: int) -> dict[str, float]:
    """Recall at numbers (`R@1`, `R@5`, `R@10`) and at shares (`R@5%`, `R@10%`, rounded up) of a gallery, and more.

    `median rank / N` is 1-based, lower is better; `MRR` is the mean of 1 / rank.
    """
    return dict(zip(METRICS, _measured(ranks, n_gallery).tolist(), strict=True))


def chance_measures(n_gallery: int) -> dict[str, float]:
    """What random ranks give in a gallery of that size."""
    return rank_measures(np.arange(1, n_gallery + 1), n_gallery)


def resampled_measures(ranks: Ranks, n_gallery: int, rng: np.random.Generator) -> Doubles:
    """`rank_measures` of queries drawn with replacement, float64 `(N_DRAWS, n_metrics)`."""
    n, drawn = len(ranks), []
    for done in range(0, N_DRAWS, _DRAWS_AT_ONCE):
        rows = rng.integers(n, size=(min(_DRAWS_AT_ONCE, N_DRAWS - done), n))
        drawn.append(_measured(ranks[rows], n_gallery))
    return np.concatenate(drawn)


def rank_figures(ranks: Ranks, section: PairedVectors, rng: np.random.Generator, *, note: str = "") -> SectionFigures:
    """Figures of one section from the ranks of its queries, with resamples for intervals."""
    n = len(section.images)
    return SectionFigures(
        slide=section.slide,
        patient=section.patient,
        trained_on=section.trained_on,
        values=rank_measures(ranks, n),
        drawn=resampled_measures(ranks, n, rng),
        n_queries=len(ranks),
        n_gallery=n,
        note=note,
    )


def by_chance(section: SectionFigures) -> SectionFigures:
    """The random row beside a section's figures; it depends on nobody's training and has no interval."""
    values = chance_measures(section.n_gallery)
    return replace(section, values=values, drawn=np.empty((0, len(values))), trained_on=False, note="")


def retrieval_figures(
    sections: Sequence[PairedVectors], method: str, *, prefix: str = "", chance: bool = True, seed: int = 0
) -> list[Figure]:
    """Retrieval both ways by section, patient and over all, each figure beside its random row.

    Parameters
    ----------
    sections : sequence of PairedVectors
        At least one.
    method : str
        Name of the space or baseline that the vectors come from.
    prefix : str
        Put before the direction, such as `niche `.
    chance : bool
        Whether to add the random rows.

    Raises
    ------
    QueryError
        As `own_ranks`.
    """
    rng = np.random.default_rng(seed)
    figures = []
    for direction in DIRECTIONS:
        question, forward = prefix + direction, direction == DIRECTIONS[0]
        own = []
        for section in sections:
            sides = (section.images, section.expression) if forward else (section.expression, section.images)
            own.append(rank_figures(own_ranks(*sides), section, rng))
        figures += summed_up(own, question=question, method=method, seed=seed)
        if chance:
            figures += summed_up([by_chance(s) for s in own], question=question, method=RANDOM)
    return figures


def as_niches(section: PairedVectors) -> PairedVectors:
    """The section with each spot's vectors averaged over its nearest spots, itself included, and scaled to norm 1.

    Seven spots on the image side and five on the expression side; neighbours share part of the truth, so figures of
    niches are higher than those of single spots and are never compared with them.

    Raises
    ------
    QueryError
        If the section has no positions.
    """
    if section.xy_px is None or not np.isfinite(section.xy_px).all():
        raise QueryError(f"Section {section.slide} has spots without positions, so it has no niches.")
    from scipy.spatial import cKDTree

    tree: Any = cKDTree(section.xy_px)

    def pooled(vectors: Vectors, n_spots: int) -> Vectors:
        near = tree.query(section.xy_px, k=list(range(1, min(n_spots, len(vectors)) + 1)))[1]
        return unit_rows(np.asarray(vectors[near].mean(axis=1), dtype=np.float32))

    images, expression = pooled(section.images, NICHE_IMAGES), pooled(section.expression, NICHE_EXPRESSION)
    return replace(section, images=images, expression=expression)


def _measured(ranks: Ranks, n_gallery: int) -> Doubles:
    """`METRICS` over the last axis of ranks, float64 `(..., n_metrics)`."""
    limits = [*TOPS, *(np.ceil(p * n_gallery / 100) for p in PERCENTS)]
    recall = [(ranks <= limit).mean(axis=-1) for limit in limits]
    return np.stack([*recall, np.median(ranks, axis=-1) / n_gallery, (1.0 / ranks).mean(axis=-1)], axis=-1)
