"""Whether a short list of a spot's genes finds the picture of that spot."""

from collections.abc import Sequence
from itertools import product
from typing import Literal

import numpy as np
import scipy.sparse as sp

from encoders.contracts import ExpressionEncoder, Vectors
from encoders.gene_lists import WeightedGenes
from encoders.profiles import Profiles
from encoders.sections import ExpressionSection
from search.errors import NothingToMeasureError
from search.quality.quality_figures import RANDOM, Doubles, Figure, summed_up
from search.quality.retrieval_quality import PairedVectors, by_chance, own_ranks, rank_figures

LENGTHS = (5, 10, 20)
#: What a gene "standing out" in a spot means: z-score over its section, or rise of log-expression above its mean.
Choice = Literal["z", "rise"]
LISTS = "-gene lists"


def top_genes(
    counts: sp.csr_matrix, genes: Sequence[str], known: Sequence[str], length: int, *, by: Choice = "z"
) -> list[tuple[str, ...]]:
    """The genes of each spot that stand out most in its section, the most outstanding first.

    Standing out is the z-score of log1p counts per 10,000 over the spots of the section, which prefers genes few spots
    have, or the plain difference from their mean. Genes that `known` lacks or that never vary are left out.

    Raises
    ------
    NothingToMeasureError
        If fewer than `length` genes are left.
    """
    profiles = Profiles.read(counts, genes)
    place = {symbol: column for column, symbol in enumerate(profiles.genes)}
    columns = np.array([place[symbol] for symbol in known if symbol in place], dtype=np.int64)
    z = _outstanding(profiles.log_normalised()[:, columns], by)
    varies = np.isfinite(z).all(axis=0)
    columns, z = columns[varies], z[:, varies]
    if len(columns) < length:
        raise NothingToMeasureError(
            f"Gene lists were not measured: {len(columns)} genes that lists may name vary in a section; lists of "
            f"{length} need as many. Give a section with more genes."
        )
    order = np.argsort(-z, axis=1, kind="stable")[:, :length]
    return [tuple(profiles.genes[c] for c in columns[row]) for row in order]


def list_vectors(lists: Sequence[Sequence[str]], encoder: ExpressionEncoder) -> Vectors:
    """Unit vectors of gene lists, all genes weighing the same, float32 `(n, dim)`."""
    encoded = [
        encoder.encode_list(WeightedGenes(symbols=tuple(genes), weights=(1.0,) * len(genes))).vectors for genes in lists
    ]
    return np.concatenate(encoded)


def gene_list_figures(
    sections: Sequence[tuple[PairedVectors, ExpressionSection]],
    encoder: ExpressionEncoder,
    method: str,
    *,
    lengths: Sequence[int] = LENGTHS,
    chance: bool = True,
    seed: int = 0,
) -> list[Figure]:
    """Rank of each spot's picture among those of its section, asked with its 5, 10 or 20 most outstanding genes.

    Genes chosen by z-score and by rise are questions of their own (`10-gene lists->image`, `10-gene lists by
    rise->image`).

    Parameters
    ----------
    sections : sequence of (PairedVectors, ExpressionSection)
        Vectors and raw counts of the same spots.
    encoder : ExpressionEncoder
        Of the space the vectors live in.
    method : str
        Name of that space.
    lengths : sequence of int
        Genes in a list.
    chance : bool
        Whether to add the random rows.

    Raises
    ------
    NothingToMeasureError
        If a section has too few genes.
    QueryError
        If its vectors are not finite.
    """
    rng = np.random.default_rng(seed)
    figures = []
    choices: tuple[Choice, ...] = ("z", "rise")
    for by, length in product(choices, lengths):
        own = []
        for section, measured in sections:
            lists = top_genes(measured.counts, measured.genes, encoder.query_genes, length, by=by)
            ranks = own_ranks(list_vectors(lists, encoder), section.images)
            own.append(rank_figures(ranks, section, rng))
        question = f"{length}{LISTS}{'' if by == 'z' else ' by rise'}->image"
        figures += summed_up(own, question=question, method=method, seed=seed)
        if chance:
            figures += summed_up([by_chance(s) for s in own], question=question, method=RANDOM)
    return figures


def _outstanding(values: sp.csr_matrix, by: Choice) -> Doubles:
    dense = np.asarray(values.todense(), dtype=np.float64)
    sd = dense.std(axis=0)
    unit = np.where(sd > 0, sd if by == "z" else 1.0, np.nan)
    over: Doubles = (dense - dense.mean(axis=0)) / unit
    return over
