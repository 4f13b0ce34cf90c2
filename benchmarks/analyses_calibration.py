"""Whether p-values of pairs that do not belong together are uniform, as p-values must be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy import stats

from benchmarks.her2st_sections import RememberedFeatures, Section, paired_vectors, read_sections, train
from benchmarks.report import Row
from encoders.backbones import DefaultBackbone
from encoders.contracts import Floats, Vectors
from encoders.recipe import Recipe
from encoders.registry import open_space
from encoders.space import Space
from indexer.datasets.manifest import load_manifest
from search.retrieval.calibration import tail_probabilities
from search.retrieval.slide_null import SlidePairs, pair_p_values
from search.training.run import MINI_DATA

_SIDES = ("image", "expression")
_HELD_OUT = "B"
_LEFT_OUT_IF_QUICK = ("C3", "C4", "C5", "C6")  # further pictures of a patient who has one


@dataclass(slots=True)
class _Side:
    """Vectors of one modality, a section at a time, and the patient of each."""

    vectors: list[Vectors]
    patients: list[npt.NDArray[np.str_]]

    def add(self, vectors: Vectors, patient: str) -> None:
        self.vectors.append(vectors)
        self.patients.append(np.repeat(patient, len(vectors)))


def calibration_rows(*, n_pairs: int, quick: bool) -> Iterator[Row]:
    """Distance of p-values from uniform: in the shipped space, and for a patient a space has not seen."""
    recipe = Recipe(name="mini")
    slides = [slide for slide in load_manifest().datasets[MINI_DATA].slides if slide not in _LEFT_OUT_IF_QUICK]
    sections = read_sections(recipe, slides=slides if quick else None)
    note = "mismatched pairs of different patients; its null was drawn from patients like these"
    yield from _rows("p-value KS distance", open_space("mini"), sections, None, n_pairs, note)
    yield _slide_row(open_space("mini"), sections)
    if not quick:
        space = train(sections, _HELD_OUT, recipe, RememberedFeatures(DefaultBackbone(device="cpu")))
        note = f"one side of each pair is of patient {_HELD_OUT}, whom the space has not seen"
        yield from _rows("p-value KS distance, unseen patient", space, sections, _HELD_OUT, n_pairs, note)


def _rows(
    name: str, space: Space, sections: Sequence[Section], unseen: str | None, n_pairs: int, note: str
) -> Iterator[Row]:
    sides = {side: _Side([], []) for side in _SIDES}
    for section in sections:
        facts = section.expression
        if section.pairs is None:
            expression = space.expression.encode_counts(facts.counts, facts.genes, by_section=True).vectors
        else:
            both = paired_vectors(space, section)
            expression = both.expression
            sides["image"].add(both.images, facts.patient)
        sides["expression"].add(expression, facts.patient)
    for query, target in product(_SIDES, _SIDES):
        scores = _mismatched(sides[query], sides[target], unseen, n_pairs)
        p = tail_probabilities(scores, space.card.calibration, f"{query}->{target}")
        distance = float(stats.kstest(p, "uniform").statistic)
        label = name if (query, target) == _SIDES else f"{name}, {query} to {target}"
        yield Row("analyses", label, distance, "KS", None, n_pairs, f"{note}; {np.mean(p <= 0.05):.3f} are below .05")


def _slide_row(space: Space, sections: Sequence[Section]) -> Row:
    """Slides of different patients, each pair held against the pairs that do not involve the first one's patient."""
    bulks = [sp.csr_matrix(section.expression.counts.sum(axis=0)) for section in sections]
    vectors = np.concatenate(
        [
            space.expression.encode_counts(bulk, section.expression.genes).vectors
            for bulk, section in zip(bulks, sections, strict=True)
        ]
    )
    _, patients = np.unique([section.expression.patient for section in sections], return_inverse=True)
    first, second = np.triu_indices(len(patients), k=1)
    apart = patients[first] != patients[second]
    first, second = first[apart], second[apart]
    scores = np.einsum("ij,ij->i", vectors[first], vectors[second]).astype(np.float64)
    pairs = SlidePairs(scores, patients[first], patients[second], np.zeros(len(scores), dtype=np.bool_))
    p = []
    for patient in range(int(patients.max()) + 1):
        asked = (pairs.first == patient) | (pairs.second == patient)
        p.append(pair_p_values(scores[asked].astype(np.float32), pairs.without(patient)[0]))
    every = np.concatenate(p)
    note = f"{len(scores)} pairs of {len(patients)} slides by expression, but of {len(p)} patients only, both ways; "
    distance = float(stats.kstest(every, "uniform").statistic)
    name = "p-value KS distance, slide to slide"
    return Row("analyses", name, distance, "KS", None, len(every), f"{note}{np.mean(every <= 0.05):.3f} are below .05")


def _mismatched(queries: _Side, targets: _Side, unseen: str | None, n_pairs: int) -> Floats:
    """Scores of pairs of different patients; if one is `unseen`, the query or the target is that patient's."""
    rng = np.random.default_rng(1)
    query_of, target_of = np.concatenate(queries.patients), np.concatenate(targets.patients)
    left, right = np.concatenate(queries.vectors), np.concatenate(targets.vectors)
    found: list[Floats] = []
    while sum(map(len, found)) < n_pairs:
        q, t = rng.integers(len(left), size=n_pairs), rng.integers(len(right), size=n_pairs)
        apart = query_of[q] != target_of[t]
        if unseen is not None:
            apart &= (query_of[q] == unseen) | (target_of[t] == unseen)
        found.append(np.einsum("ij,ij->i", left[q[apart]], right[t[apart]]))
    return np.concatenate(found)[:n_pairs]
