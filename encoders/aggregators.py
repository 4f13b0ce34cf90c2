"""From the tiles of a slide to vectors of the slide: their mean, prototypes of their kinds, or a learned attention.

`mean` is one vector. `prototypes` are k-means centres of the tiles with the share of tiles each stands for, so that a
small region is not averaged away (compare PANTHER, Song et al., CVPR 2024, whose prototypes are of a whole cohort;
these are of one slide and need no training). Learned aggregators read backbone features and bring weights of their own.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from encoders.abmil import NAME as ABMIL
from encoders.abmil import open_abmil, weights_path
from encoders.aggregates import Aggregate, Rows, SlideAggregator
from encoders.contracts import Floats, Modality, Vectors, unit_rows
from encoders.errors import UnknownEncoderError, WeightsMissingError

MEAN = "mean"
DEFAULT_PROTOTYPES = 8
_NAME = re.compile(r"(?P<family>[a-z]+)(-(?P<detail>[0-9a-f]+))?")
_MOST_PROTOTYPES = 256
_ITERATIONS = 50
_SEED = 0
_LEARNED = "one vector by learned attention over the features of its tiles (TANGLE's layout)"


class MeanAggregator:
    """One vector: the unit mean."""

    name = MEAN
    modalities: tuple[Modality, ...] = ("image", "expression")

    def aggregate(self, vectors: Vectors, features: Floats | None = None) -> Aggregate:  # noqa: ARG002 (the contract's)
        """Unit mean of the vectors, shown by the tile nearest to it."""
        mean = unit_rows(vectors.mean(axis=0, dtype=np.float64)[None].astype(np.float32))
        return Aggregate(mean, np.ones(1, dtype=np.float32), np.array([int((vectors @ mean[0]).argmax())]))


@dataclass(frozen=True, slots=True)
class PrototypeAggregator:
    """Centres of spherical k-means over the tiles, largest share first; deterministic.

    Attributes
    ----------
    n_prototypes : int
        Most prototypes of a slide; one with fewer tiles has as many as tiles.
    """

    n_prototypes: int = DEFAULT_PROTOTYPES

    modalities: tuple[Modality, ...] = ("image", "expression")

    @property
    def name(self) -> str:
        """`prototypes-8` for eight."""
        return f"prototypes-{self.n_prototypes}"

    def aggregate(self, vectors: Vectors, features: Floats | None = None) -> Aggregate:  # noqa: ARG002 (the contract's)
        """Prototypes of the vectors, their shares, and the tile nearest to each."""
        centres, tile_of = spherical_kmeans(vectors, self.n_prototypes)
        counts = np.bincount(tile_of, minlength=len(centres))
        order = np.lexsort((np.arange(len(centres)), -counts))
        order = order[counts[order] > 0]
        nearest = (vectors @ centres[order].T).argmax(axis=0)
        return Aggregate(
            vectors=centres[order],
            shares=(counts[order] / len(vectors)).astype(np.float32),
            nearest=nearest.astype(np.int64),
        )


@dataclass(frozen=True, slots=True)
class AggregatorStatus:
    """One aggregator as `histoseek encoders` shows it: its name, what it gives, and its state on this machine."""

    name: str
    what: str
    state: Literal["ready", "weights missing"] = "ready"
    hint: str = ""


def describe_aggregators() -> list[AggregatorStatus]:
    """Every aggregator with its state on this machine; weights are looked for, not read."""
    try:
        weights_path()
        learned = AggregatorStatus(ABMIL, _LEARNED)
    except WeightsMissingError as error:
        learned = AggregatorStatus(ABMIL, _LEARNED, "weights missing", str(error))
    several = f"centres of k-means on its tiles with their shares; {DEFAULT_PROTOTYPES}, or as many as the name says"
    return [
        AggregatorStatus(MEAN, "the mean of its tiles"),
        AggregatorStatus("prototypes", several),
        learned,
    ]


def open_aggregator(name: str, *, weights: Path | None = None) -> SlideAggregator:
    """Open an aggregator by name.

    Parameters
    ----------
    name : str
        `mean`, `prototypes` (eight, or `prototypes-16`), or `abmil`.
    weights : Path, optional
        Weights of a learned aggregator; by default looked for in the weights folder.

    Raises
    ------
    UnknownEncoderError
        If there is none of that name.
    WeightsMissingError, CheckpointError, SpaceMismatchError
        If its weights are not on this machine, of another layout, or not those the name says.
    """
    match = _NAME.fullmatch(name)
    opener = _OPENERS.get(match["family"]) if match else None
    if match is None or opener is None:
        raise UnknownEncoderError(
            f"There is no slide aggregator {name!r}; known are mean, prototypes (or prototypes-16) and abmil."
        )
    return opener(match["detail"], weights)


def spherical_kmeans(vectors: Vectors, k: int) -> tuple[Vectors, Rows]:
    """Centres on the unit sphere and the centre of each row, by Lloyd's iterations from k-means++ with a fixed seed.

    Parameters
    ----------
    vectors : float32 (n, dim)
        Unit rows.
    k : int
        Most centres.

    Returns
    -------
    float32 (m, dim), int64 (n,)
        `m` is `min(k, n)`.
    """
    rng = np.random.default_rng(_SEED)
    centres = _spread_out(vectors, min(k, len(vectors)), rng)
    of = np.full(len(vectors), -1, dtype=np.int64)
    for _ in range(_ITERATIONS):
        found = (vectors @ centres.T).argmax(axis=1)
        if np.array_equal(found, of):
            break
        of = found
        sums = np.zeros_like(centres, dtype=np.float64)
        np.add.at(sums, of, vectors)
        filled = np.linalg.norm(sums, axis=1) > 0
        centres[filled] = unit_rows(sums[filled].astype(np.float32))
    return centres, of


def _spread_out(vectors: Vectors, k: int, rng: np.random.Generator) -> Vectors:
    """Rows far from each other (k-means++, Arthur & Vassilvitskii, SODA 2007)."""
    chosen = [int(rng.integers(len(vectors)))]
    distance = np.maximum(1 - vectors @ vectors[chosen[0]], 0).astype(np.float64)
    while len(chosen) < k:
        total = distance.sum()
        rest = np.setdiff1d(np.arange(len(vectors)), chosen)
        take = int(rng.choice(len(vectors), p=distance / total)) if total > 0 else int(rest[0])
        chosen.append(take)
        distance = np.minimum(distance, np.maximum(1 - vectors @ vectors[take], 0))
    return vectors[chosen].copy()


def _open_mean(detail: str | None, weights: Path | None) -> SlideAggregator:  # noqa: ARG001 (all openers alike)
    return MeanAggregator()


def _open_prototypes(detail: str | None, weights: Path | None) -> SlideAggregator:  # noqa: ARG001 (all openers alike)
    n = DEFAULT_PROTOTYPES if detail is None else int(detail) if detail.isdecimal() else 0
    if not 1 <= n <= _MOST_PROTOTYPES:
        raise UnknownEncoderError(f"A slide of {detail} prototypes cannot be made; give 1 to {_MOST_PROTOTYPES}.")
    return PrototypeAggregator(n)


def _open_abmil(detail: str | None, weights: Path | None) -> SlideAggregator:
    return open_abmil(weights, digest=detail)


_OPENERS: dict[str, Callable[[str | None, Path | None], SlideAggregator]] = {
    MEAN: _open_mean,
    "prototypes": _open_prototypes,
    ABMIL: _open_abmil,
}
