"""Gene sentences: a transcriptome written as its ranked gene symbols, with the recipe that made it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from encoders.errors import GeneQueryError


@dataclass(frozen=True, slots=True)
class SentenceRecipe:
    """How a profile becomes a sentence.

    Attributes
    ----------
    name : str
        Named in every index that holds such sentences.
    n_genes : int
        Length of the sentence.
    drop_containing : tuple of str
        Symbols containing any of these are left out, applied in order.
    drop_symbols : frozenset of str
        Symbols left out by name, such as housekeeping genes.
    """

    name: str
    n_genes: int = 50
    drop_containing: tuple[str, ...] = ()
    drop_symbols: frozenset[str] = frozenset()

    def keeps(self, symbol: str) -> bool:
        """Whether a symbol may stand in a sentence of this recipe."""
        return symbol not in self.drop_symbols and not any(mark in symbol for mark in self.drop_containing)


@dataclass(frozen=True, slots=True)
class GeneSentence:
    """Symbols from the highest value down, and the name of the recipe that ranked them."""

    symbols: tuple[str, ...]
    recipe: str

    def __str__(self) -> str:
        return " ".join(self.symbols)

    @classmethod
    def parse(cls, text: str, *, recipe: str = "typed") -> "GeneSentence":
        """Read a sentence of symbols separated by white space, highest first.

        Raises
        ------
        GeneQueryError
            If the text holds no symbol.
        """
        symbols = tuple(dict.fromkeys(text.split()))
        if not symbols:
            raise GeneQueryError("The gene sentence is empty; expected symbols from high to low, e.g. 'KRT19 ERBB2'.")
        return cls(symbols, recipe)


PLAIN = SentenceRecipe(name="plain")


def sentences_of(counts: sp.csr_matrix, genes: Sequence[str], *, recipe: SentenceRecipe = PLAIN) -> list[GeneSentence]:
    """Write each row as a sentence: the `recipe.n_genes` largest values, ties in gene order, zeros left out.

    Parameters
    ----------
    counts : csr_matrix (n, n_genes)
        Raw or normalised values; ranking within a row does not change under log1p or scaling of the row.
    genes : sequence of str
        Symbols of the columns.
    """
    kept = np.flatnonzero([recipe.keeps(symbol) for symbol in genes])
    rows = sp.csr_matrix(counts)[:, kept]
    names = np.asarray(genes, dtype=object)[kept]
    sentences = []
    for start, stop in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):
        columns, values = rows.indices[start:stop], rows.data[start:stop]
        positive = values > 0
        columns, values = columns[positive], values[positive]
        order = np.lexsort((columns, -values))[: recipe.n_genes]
        sentences.append(GeneSentence(tuple(names[columns[order]]), recipe.name))
    return sentences
