"""Whether p-values of pairs that do not belong together are uniform, as p-values must be."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmarks.her2st_sections import RememberedFeatures, Section, paired_vectors, read_sections, train
from benchmarks.report import Row
from encoders.backbones import DefaultBackbone
from encoders.contracts import Floats, Modality, Vectors
from encoders.recipe import Recipe
from encoders.space import Calibration, Space
from search.engine import Engine
from search.item_rows import vectors_of
from search.retrieval.calibration import tail_probabilities
from search.retrieval.slide_null import FEWEST_PAIRS, SlidePairs, pair_p_values

_SIDES: tuple[Modality, Modality] = ("image", "expression")
_HELD_OUT = "B"


@dataclass(frozen=True, slots=True)
class _Side:
    """Vectors of one modality `(n, dim)`, and the patient of each."""

    vectors: Vectors
    patients: npt.NDArray[np.str_]


def calibration_rows(engine: Engine, *, n_pairs: int) -> Iterator[Row]:
    """Distance of p-values from uniform in the shipped space, of spots and of slides."""
    sides = {side: _of_index(engine, "spot", side) for side in _SIDES}
    note = "mismatched pairs of different patients; its null was drawn from patients like these"
    yield from _rows("p-value KS distance", engine.space.card.calibration, sides, None, n_pairs, note)
    yield from _slide_row(_of_index(engine, "slide", "expression"))


def unseen_rows(*, n_pairs: int) -> Iterator[Row]:
    """The same of spots, in a space that has not seen one patient, for pairs of whom one is that patient's."""
    recipe = Recipe(name="mini")
    sections = read_sections(recipe)
    space = train(sections, _HELD_OUT, recipe, RememberedFeatures(DefaultBackbone(device="cpu")))
    note = f"one side of each pair is of patient {_HELD_OUT}, whom the space has not seen"
    name = "p-value KS distance, unseen patient"
    yield from _rows(name, space.card.calibration, _of_sections(space, sections), _HELD_OUT, n_pairs, note)


def _of_index(engine: Engine, kind: str, side: Modality) -> _Side:
    catalogue = engine.catalogue
    rows = np.flatnonzero(catalogue.is_one_of("kind", [kind]) & catalogue.has(side))
    return _Side(vectors_of(catalogue, rows, side), catalogue.column("patient")[rows].astype(str))


def _of_sections(space: Space, sections: Sequence[Section]) -> dict[Modality, _Side]:
    found: dict[Modality, list[tuple[Vectors, str]]] = {side: [] for side in _SIDES}
    for section in sections:
        facts = section.expression
        if section.pairs is None:
            expression = space.expression.encode_counts(facts.counts, facts.genes, by_section=True).vectors
        else:
            both = paired_vectors(space, section)
            expression = both.expression
            found["image"].append((both.images, facts.patient))
        found["expression"].append((expression, facts.patient))
    return {
        side: _Side(
            np.concatenate([vectors for vectors, _ in parts]),
            np.concatenate([np.repeat(patient, len(vectors)) for vectors, patient in parts]),
        )
        for side, parts in found.items()
    }


def _rows(
    name: str,
    calibration: Calibration,
    sides: Mapping[Modality, _Side],
    unseen: str | None,
    n_pairs: int,
    note: str,
) -> Iterator[Row]:
    for query, target in product(_SIDES, _SIDES):
        scores = _mismatched(sides[query], sides[target], unseen, n_pairs)
        p = tail_probabilities(scores, calibration, f"{query}->{target}")
        distance = float(stats.kstest(p, "uniform").statistic)
        label = name if (query, target) == _SIDES else f"{name}, {query} to {target}"
        yield Row("analyses", label, distance, "KS", None, n_pairs, f"{note}; {np.mean(p <= 0.05):.3f} are below .05")


def _slide_row(slides: _Side) -> Iterator[Row]:
    """Slides of different patients, each pair held against the pairs that do not involve the first one's patient."""
    _, patients = np.unique(slides.patients, return_inverse=True)
    first, second = np.triu_indices(len(patients), k=1)
    apart = patients[first] != patients[second]
    first, second = first[apart], second[apart]
    if len(first) < FEWEST_PAIRS:
        return  # no null that slides are held against would be made of so few
    scores = np.einsum("ij,ij->i", slides.vectors[first], slides.vectors[second]).astype(np.float64)
    pairs = SlidePairs(scores, patients[first], patients[second], np.zeros(len(scores), dtype=np.bool_))
    p = []
    for patient in range(int(patients.max()) + 1):
        asked = (pairs.first == patient) | (pairs.second == patient)
        p.append(pair_p_values(scores[asked].astype(np.float32), pairs.without(patient)[0]))
    every = np.concatenate(p)
    note = f"{len(scores)} pairs of {len(patients)} slides by expression, but of {len(p)} patients only, both ways; "
    distance = float(stats.kstest(every, "uniform").statistic)
    name = "p-value KS distance, slide to slide"
    yield Row("analyses", name, distance, "KS", None, len(every), f"{note}{np.mean(every <= 0.05):.3f} are below .05")


def _mismatched(queries: _Side, targets: _Side, unseen: str | None, n_pairs: int) -> Floats:
    """Scores of pairs of different patients; if one is `unseen`, the query or the target is that patient's."""
    rng = np.random.default_rng(1)
    found: list[Floats] = []
    while sum(map(len, found)) < n_pairs:
        q, t = (rng.integers(len(side.vectors), size=n_pairs) for side in (queries, targets))
        apart = queries.patients[q] != targets.patients[t]
        if unseen is not None:
            apart &= (queries.patients[q] == unseen) | (targets.patients[t] == unseen)
        found.append(np.einsum("ij,ij->i", queries.vectors[q[apart]], targets.vectors[t[apart]]))
    return np.concatenate(found)[:n_pairs]
