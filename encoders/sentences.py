"""Gene sentences: a transcriptome written as its ranked gene symbols, with the recipe that made it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from encoders.errors import GeneQueryError
from encoders.profiles import OUTSIDE


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
    pad : bool
        Whether a profile with fewer than `n_genes` values above zero is filled up with genes of value zero, in gene
        order. The published OmiCLIP recipe does; it says nothing about the profile, so `plain` does not.
    gene_norms : mapping of str to float, optional
        What each gene's value is divided by before genes are ranked; genes that are not in it are left out.
    """

    name: str
    n_genes: int = 50
    drop_containing: tuple[str, ...] = ()
    drop_symbols: frozenset[str] = frozenset()
    pad: bool = False
    gene_norms: Mapping[str, float] | None = None

    def keeps(self, symbol: str) -> bool:
        """Whether a symbol may stand in a sentence of this recipe."""
        if symbol == OUTSIDE or (self.gene_norms is not None and symbol not in self.gene_norms):
            return False
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


def sentences_of(
    values: sp.csr_matrix | npt.NDArray[Any], genes: Sequence[str], *, recipe: SentenceRecipe = PLAIN
) -> list[GeneSentence]:
    """Write each row as a sentence: the `recipe.n_genes` largest values, ties in gene order.

    A sparse matrix stays sparse: only stored values are ranked, and padding is read off the gaps between them.

    Parameters
    ----------
    values : csr_matrix or array (n, n_genes)
        Raw or normalised values, ranked as they are; the order within a row does not change under log1p or scaling
        of the row.
    genes : sequence of str
        Symbols of the columns. A symbol that stands twice can be written twice, as the published recipe does.

    Raises
    ------
    GeneQueryError
        If columns and symbols differ in number, or a value is NaN or infinite.
    """
    if values.ndim != 2 or values.shape[1] != len(genes):
        raise GeneQueryError(
            f"Values have the shape {values.shape} but there are {len(genes)} gene symbols; give one symbol a column."
        )
    kept = np.flatnonzero([recipe.keeps(symbol) for symbol in genes])
    names = np.asarray(genes, dtype=object)[kept]
    orders = _sparse_orders if sp.issparse(values) else _dense_orders
    chosen = values[:, kept]
    if recipe.gene_norms is not None:
        factors = 1.0 / np.array([recipe.gene_norms[symbol] for symbol in names], dtype=np.float64)
        chosen = sp.csr_matrix(chosen @ sp.diags(factors)) if sp.issparse(chosen) else chosen * factors
    return [GeneSentence(tuple(names[order]), recipe.name) for order in orders(chosen, recipe)]


def _sparse_orders(values: Any, recipe: SentenceRecipe) -> list[npt.NDArray[np.intp]]:
    rows = sp.csr_matrix(values)
    _check_finite(rows.data)
    bounds = zip(rows.indptr[:-1], rows.indptr[1:], strict=True)
    return [_order(rows.indices[i:j], rows.data[i:j], rows.shape[1], recipe) for i, j in bounds]


def _dense_orders(values: npt.NDArray[Any], recipe: SentenceRecipe) -> list[npt.NDArray[np.intp]]:
    _check_finite(values)
    columns = np.arange(values.shape[1])
    return [_order(columns, row, len(columns), recipe) for row in values]


def _order(
    columns: npt.NDArray[Any], values: npt.NDArray[Any], n_columns: int, recipe: SentenceRecipe
) -> npt.NDArray[np.intp]:
    """Columns from the largest value down, ties in column order; columns that are not given have the value zero."""
    above, below = values > 0, values < 0
    high = _descending(columns[above], values[above])[: recipe.n_genes]
    n_missing = recipe.n_genes - len(high)
    if not recipe.pad or n_missing == 0:
        return high
    taken = columns[above | below]
    # Among the first n_missing + len(taken) columns at least n_missing are zero, or the row has no more of them.
    zero = np.setdiff1d(np.arange(min(n_columns, n_missing + len(taken))), taken)[:n_missing]
    low = _descending(columns[below], values[below])[: n_missing - len(zero)]
    return np.concatenate([high, zero, low]).astype(np.intp)


def _descending(columns: npt.NDArray[Any], values: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    # Reversed ranks instead of -values, which unsigned counts do not have.
    ranks = np.unique(values, return_inverse=True)[1]
    return np.asarray(columns[np.lexsort((columns, -ranks))], dtype=np.intp)


def _check_finite(values: npt.NDArray[Any]) -> None:
    n_bad = int(np.count_nonzero(~np.isfinite(values)))
    if n_bad:
        raise GeneQueryError(f"{n_bad} values are NaN or infinite and cannot be ranked; give counts of 0 or more.")
