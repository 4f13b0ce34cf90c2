"""Which genes make a score: what it loses when a gene is left out, of the query or of the hit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp

from encoders.contracts import ExpressionEncoding, Vectors
from encoders.errors import GeneQueryError
from encoders.gene_lists import WeightedGenes
from encoders.gene_matching import match_columns
from encoders.profiles import SymbolTable
from encoders.sentences import GeneSentence
from encoders.space import Space
from search.profiles import Doubles

Source = Literal["query genes", "query profile", "hit profile"]
_MOST_TERMS = 1_000
_OF_SECTION = 9  # rows of the section for each variant, so that variants hardly move its mean
_MOST_GENES = 100  # genes of a profile that are left out one by one: those furthest from what is expected


@dataclass(frozen=True, slots=True)
class Drivers:
    """What a score loses gene by gene.

    Attributes
    ----------
    source : str
        Where the genes were left out.
    genes : tuple of str
        Genes left out, one at a time.
    losses : float64 (n,)
        Score with all genes less the score without that one; above 0 speaks for the hit.
    score : float
        Score with all genes, encoded as those without one were.
    """

    source: Source
    genes: tuple[str, ...]
    losses: Doubles
    score: float


def of_list(asked: WeightedGenes, space: Space, hit: Vectors) -> Drivers:
    """Terms of a gene list, each left out in turn; a list of one term loses all it has."""
    whole = _cosine(space.expression.encode_list(asked), hit)
    pairs = list(zip(asked.symbols, asked.weights, strict=True))[:_MOST_TERMS]

    def without(place: int) -> ExpressionEncoding:
        kept = [pair for other, pair in enumerate(pairs) if other != place]
        return space.expression.encode_list(WeightedGenes(tuple(s for s, _ in kept), tuple(w for _, w in kept)))

    rest = [_or_nothing(without, place, hit) for place in range(len(pairs))]
    return Drivers("query genes", tuple(symbol for symbol, _ in pairs), whole - np.array(rest), whole)


def of_sentence(asked: GeneSentence, space: Space, hit: Vectors) -> Drivers:
    """Words of a gene sentence, each left out in turn; those after it move up a rank."""
    whole = _cosine(space.expression.encode_sentence(asked), hit)
    words = asked.symbols[:_MOST_TERMS]

    def without(place: int) -> ExpressionEncoding:
        return space.expression.encode_sentence(
            GeneSentence(asked.symbols[:place] + asked.symbols[place + 1 :], asked.recipe)
        )

    rest = [_or_nothing(without, place, hit) for place in range(len(words))]
    return Drivers("query genes", words, whole - np.array(rest), whole)


@dataclass(frozen=True, slots=True)
class Profile:
    """Raw counts `(n_genes,)` of a query or hit, what is to be expected, and the section they are of.

    Attributes
    ----------
    share : float64 (n_genes,)
        Share of each gene in the counts that is to be expected, such as its mean over the slide.
    section : csr (n, n_genes) or None
        Counts of the section, on whose mean its items were centred; `None` for a profile by itself.
    """

    counts: Doubles
    share: Doubles
    section: sp.csr_matrix | None


def of_profile(profile: Profile, genes: Sequence[str], space: Space, other: Vectors, source: Source) -> Drivers | None:
    """Genes of a profile, each set to what is expected in turn: all variants are encoded at once.

    Parameters
    ----------
    profile : Profile
        What genes are left out of.
    genes : sequence of str
        Symbols.
    space : Space
        Encodes the variants.
    other : float32 (dim,)
        What they are compared with.

    Returns
    -------
    Drivers or None
        `None` if the space knows none of the genes.
    """
    counts, expected = profile.counts, profile.share * profile.counts.sum()
    known = np.zeros(len(genes), dtype=np.bool_)
    known[_known(space, genes)] = True
    away = np.where(known, np.abs(np.sqrt(counts) - np.sqrt(expected)), 0.0)
    chosen = np.argsort(-away, kind="stable")[: min(_MOST_GENES, int((away > 0).sum()))]
    if not len(chosen):
        return None
    variants = np.repeat(counts[None], len(chosen) + 1, axis=0)
    variants[np.arange(len(chosen)), chosen] = expected[chosen]
    vectors = _encoded(sp.csr_matrix(variants.astype(np.float32)), profile.section, genes, space)
    scores = vectors.astype(np.float64) @ other.astype(np.float64)
    return Drivers(source, tuple(genes[i] for i in chosen.tolist()), scores[-1] - scores[:-1], float(scores[-1]))


def _encoded(variants: sp.csr_matrix, section: sp.csr_matrix | None, genes: Sequence[str], space: Space) -> Vectors:
    """Vectors of variants of one profile, centred on its section.

    Variants among the rows move the mean towards themselves, which shortens them all alike and turns none; there are
    enough rows of the section that this does not make a gene seem to weigh more.
    """
    n = variants.shape[0]
    if section is None:
        return space.expression.encode_counts(variants, genes).vectors
    times = -(-_OF_SECTION * n // section.shape[0])
    rows = sp.csr_matrix(sp.vstack([*[section] * times, variants]))
    return space.expression.encode_counts(rows, genes, by_section=True).vectors[-n:]


def _known(space: Space, genes: Sequence[str]) -> Sequence[int]:
    return [int(i) for i in match_columns(SymbolTable(space.expression.genes), tuple(genes))[0]]


def _cosine(encoding: ExpressionEncoding, hit: Vectors) -> float:
    return float(encoding.vectors[0].astype(np.float64) @ hit.astype(np.float64))


def _or_nothing(encode: Callable[[int], ExpressionEncoding], place: int, hit: Vectors) -> float:
    """Score of what is left; 0 if nothing is, or what is left cancels."""
    try:
        return _cosine(encode(place), hit)
    except GeneQueryError:
        return 0.0
