"""The null of a space: scores of pairs that do not belong together, as quantiles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.contracts import ExpressionEncoder, Vectors
from encoders.gene_lists import WeightedGenes
from encoders.sections import ExpressionSection
from encoders.sentences import sentences_of
from encoders.space import Calibration

_BODY = np.linspace(0.0, 0.99, 100)
_TAILS = [1 - np.arange(9, 0, -1) * 10.0**-digits for digits in (3, 4, 5)]
PROBABILITIES: tuple[float, ...] = tuple(np.round(np.concatenate([_BODY, *_TAILS, [1.0]]), 5).tolist())
_NOWHERE = -1
_N_GENE_LISTS = 5_000
_LONGEST_LIST = 20
_SENTENCES_A_SECTION = 100


@dataclass(frozen=True, slots=True)
class Pool:
    """Vectors to draw from, with the section and patient of each, by number; -1 where they come from none."""

    vectors: Vectors
    section: npt.NDArray[np.int64]
    patient: npt.NDArray[np.int64]

    def numbers(self, group: str) -> npt.NDArray[np.int64]:
        """Number of each vector's `patient`, `section` or `spot`."""
        if group == "spot":
            return np.arange(len(self.vectors))
        return self.patient if group == "patient" else self.section


def pool(vectors: Sequence[Vectors], sections: Sequence[int], patients: Sequence[str]) -> Pool:
    """Stack vectors section by section; `sections` and `patients` say of which section each part is."""
    sizes = [len(part) for part in vectors]
    numbers = {patient: i for i, patient in enumerate(sorted(set(patients)))}
    of_part = [numbers[patients[section]] for section in sections]
    return Pool(np.concatenate(vectors), np.repeat(sections, sizes), np.repeat(of_part, sizes))


def gene_list_pool(
    encoder: ExpressionEncoder, *, seed: int, symbols: Sequence[str] = (), n_lists: int = _N_GENE_LISTS
) -> Pool:
    """Random gene lists, which belong to no spot: 1 to 20 genes of weight 1, of `symbols` if the encoder lists none."""
    rng = np.random.default_rng(seed)
    genes = np.asarray(encoder.query_genes or symbols, dtype=object)
    vectors = []
    for size in rng.integers(1, min(_LONGEST_LIST, len(genes)) + 1, size=n_lists):
        drawn = tuple(rng.choice(genes, size=size, replace=False))
        vectors.append(encoder.encode_list(WeightedGenes(drawn, (1.0,) * len(drawn))).vectors)
    nowhere = np.full(n_lists, _NOWHERE)
    return Pool(np.concatenate(vectors), nowhere, nowhere)


def sentence_vectors(encoder: ExpressionEncoder, section: ExpressionSection) -> Vectors:
    """Vectors of the sentences of up to 100 spots spread over a section; spots without a known gene are left out."""
    n_spots = section.counts.shape[0]
    rows = np.unique(np.linspace(0, n_spots - 1, min(n_spots, _SENTENCES_A_SECTION)).astype(np.int64))
    known = set(encoder.genes)
    sentences = [s for s in sentences_of(section.counts[rows], section.genes) if known.intersection(s.symbols)]
    empty = np.empty((0, encoder.info.dim), dtype=np.float32)
    return np.concatenate([empty, *(encoder.encode_sentence(sentence).vectors for sentence in sentences)])


def calibrate(
    queries: Mapping[str, Pool], targets: Mapping[str, Pool], *, n_pairs: int, seed: int
) -> tuple[Calibration, dict[str, str]]:
    """Quantiles of the cosine of mismatched pairs for every direction `query->target`.

    Pairs of different patients are drawn where the two sides have two patients, else of different sections, else of
    different spots of the one section.

    Returns
    -------
    Calibration
        Quantiles at `PROBABILITIES`.
    dict of str to str
        By direction, what was drawn: `different patients`, `different sections` or `random lists`.

    Raises
    ------
    TrainingError
        If there is one section only.
    """
    rng = np.random.default_rng(seed)
    quantiles, drawn = {}, {}
    for query, query_pool in queries.items():
        for target, target_pool in targets.items():
            key = f"{query}->{target}"
            group = _group_apart(query_pool, target_pool)
            scores = _mismatched(query_pool, target_pool, group, n_pairs, rng)
            quantiles[key] = tuple(np.round(np.quantile(scores, PROBABILITIES), 6).tolist())
            drawn[key] = "random lists" if (query_pool.section == _NOWHERE).all() else f"different {group}s"
    return Calibration(n_pairs=n_pairs, probabilities=PROBABILITIES, quantiles=quantiles), drawn


def _group_apart(queries: Pool, targets: Pool) -> str:
    if len(np.union1d(queries.patient, targets.patient)) > 1:
        return "patient"
    if len(np.union1d(queries.section, targets.section)) > 1:
        return "section"
    return "spot"


def _mismatched(
    queries: Pool, targets: Pool, group: str, n_pairs: int, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    of_query, of_target = queries.numbers(group), targets.numbers(group)
    scores: list[npt.NDArray[np.float32]] = []
    while sum(map(len, scores)) < n_pairs:
        q = rng.integers(len(of_query), size=n_pairs)
        t = rng.integers(len(of_target), size=n_pairs)
        apart = of_query[q] != of_target[t]
        scores.append(np.einsum("ij,ij->i", queries.vectors[q[apart]], targets.vectors[t[apart]]))
    return np.concatenate(scores)[:n_pairs]
