"""The null of a space: scores of pairs that do not belong together, as quantiles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.contracts import Vectors
from encoders.errors import TrainingError
from encoders.space import Calibration

_BODY = np.linspace(0.0, 0.99, 100)
_TAILS = [1 - np.arange(9, 0, -1) * 10.0**-digits for digits in (3, 4, 5)]
PROBABILITIES = tuple(np.round(np.concatenate([_BODY, *_TAILS, [1.0]]), 5).tolist())
_DRAWS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class EncodedSection:
    """Unit vectors of one section's spots, as an index would hold them; `image` is `None` without pictures."""

    slide: str
    patient: str
    expression: Vectors
    image: Vectors | None = None


@dataclass(frozen=True, slots=True)
class _Pool:
    vectors: Vectors
    section: npt.NDArray[np.int64]
    patient: npt.NDArray[np.int64]


def calibrate(sections: Sequence[EncodedSection], *, n_pairs: int, seed: int) -> tuple[Calibration, dict[str, str]]:
    """Quantiles of the cosine of mismatched spots for the four directions.

    Spots of different patients are drawn where there are two patients on the two sides, else of different sections.

    Returns
    -------
    Calibration
        Quantiles at `PROBABILITIES`, by direction.
    dict of str to str
        By direction, which spots were drawn: `different patients` or `different sections`.

    Raises
    ------
    TrainingError
        If there is one section only.
    """
    rng = np.random.default_rng(seed)
    pools = {"image": _pool(sections, image=True), "expression": _pool(sections, image=False)}
    quantiles, drawn = {}, {}
    for query in ("image", "expression"):
        for target in ("image", "expression"):
            scores, kind = _mismatched(pools[query], pools[target], n_pairs, rng)
            key = f"{query}->{target}"
            quantiles[key] = tuple(np.round(np.quantile(scores, PROBABILITIES), 6).tolist())
            drawn[key] = kind
    return Calibration(n_pairs=n_pairs, probabilities=PROBABILITIES, quantiles=quantiles), drawn


def _pool(sections: Sequence[EncodedSection], *, image: bool) -> _Pool:
    patients = {patient: i for i, patient in enumerate(sorted({s.patient for s in sections}))}
    parts, section, patient = [], [], []
    for i, encoded in enumerate(sections):
        vectors = encoded.image if image else encoded.expression
        if vectors is not None:
            parts.append(vectors)
            section += [i] * len(vectors)
            patient += [patients[encoded.patient]] * len(vectors)
    return _Pool(np.concatenate(parts), np.asarray(section), np.asarray(patient))


def _mismatched(
    queries: _Pool, targets: _Pool, n_pairs: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], str]:
    group = "patient"
    if len(np.union1d(queries.patient, targets.patient)) < 2:
        group = "section"
    if len(np.union1d(queries.section, targets.section)) < 2:
        raise TrainingError("There is 1 section, so no mismatched pairs; give two or more, or expression-only ones.")
    of_query, of_target = getattr(queries, group), getattr(targets, group)
    scores: list[npt.NDArray[np.float32]] = []
    while sum(map(len, scores)) < n_pairs:
        q = rng.integers(len(of_query), size=_DRAWS_AT_ONCE * n_pairs)
        t = rng.integers(len(of_target), size=_DRAWS_AT_ONCE * n_pairs)
        apart = of_query[q] != of_target[t]
        q, t = q[apart][:n_pairs], t[apart][:n_pairs]
        scores.append(np.einsum("ij,ij->i", queries.vectors[q], targets.vectors[t]))
    return np.concatenate(scores)[:n_pairs], f"different {group}s"
