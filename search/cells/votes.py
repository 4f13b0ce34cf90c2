"""Cell types by vote: those of the reference cells whose vectors are nearest."""

from typing import NamedTuple

import numpy as np

from encoders.contracts import Vectors
from search.cells.cell_vectors import CellVectors
from search.profiles import Doubles

VOTERS = 400
TEMPERATURE = 0.2  # cosine difference over which the weight of a cell falls by a factor e
_CHUNK = 1_024


class Votes(NamedTuple):
    """Shares float64 `(n, n_types)` and samples of them `(n_samples, n, n_types)`, rows sum to 1.

    `n_effective` float64 `(n,)`: equally weighted cells that would be as noisy; `cosine` float64 `(n,)`: mean cosine of
    these cells.
    """

    shares: Doubles
    samples: Doubles
    n_effective: Doubles
    cosine: Doubles


def votes_of(
    vectors: Vectors,
    cells: CellVectors,
    *,
    n_samples: int,
    k: int = VOTERS,
    temperature: float = TEMPERATURE,
    balanced: bool = True,
) -> Votes:
    """Add up the nearest cells by type, each weighted by `exp(cosine / temperature)`.

    A reference holds as many cells of a type as were caught, not as there are in the tissue: `balanced` divides a
    cell's weight by how many there are of its type. The spread is a Bayesian bootstrap of the cells (Rubin, Ann
    Stat 1981).

    Parameters
    ----------
    vectors : float32 (n, dim)
        Unit vectors of tiles or spots.
    cells : CellVectors
        Cells of the same space.
    n_samples : int
        Bootstrap samples.
    k : int
        Cells that vote; all if there are fewer.
    """
    rng = np.random.default_rng(0)
    member = np.eye(len(cells.types))[cells.codes]
    if balanced:
        member = member / np.array(cells.n_cells)[None, :] * len(cells.codes)
    parts = [
        _voted(vectors[start : start + _CHUNK], cells, member, (min(k, len(cells.codes)), temperature, n_samples), rng)
        for start in range(0, len(vectors), _CHUNK)
    ]
    shares, samples, n_effective, cosine = zip(*parts, strict=True)
    return Votes(
        np.concatenate(shares), np.concatenate(samples, axis=1), np.concatenate(n_effective), np.concatenate(cosine)
    )


def _voted(
    vectors: Vectors, cells: CellVectors, member: Doubles, recipe: tuple[int, float, int], rng: np.random.Generator
) -> Votes:
    k, temperature, n_samples = recipe
    cosines = vectors @ cells.vectors.T
    nearest = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
    scores = np.take_along_axis(cosines, nearest, axis=1).astype(np.float64)
    heat = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature)
    votes = member[nearest] * heat[:, :, None]
    weights = votes.sum(axis=2)
    weights /= weights.sum(axis=1, keepdims=True)
    drawn = np.einsum("bnk,nkt->bnt", rng.exponential(size=(n_samples, *heat.shape)), votes)
    return Votes(
        _rows_to_1(votes.sum(axis=1)),
        _rows_to_1(drawn),
        1.0 / np.square(weights).sum(axis=1),
        (weights * scores).sum(axis=1),
    )


def _rows_to_1(amounts: Doubles) -> Doubles:
    return np.asarray(amounts / amounts.sum(axis=-1, keepdims=True))
