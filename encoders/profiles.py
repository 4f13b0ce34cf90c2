"""Counts as encoders read them: checked, one column a gene, log-normalised, matched by symbol. Needs numpy only."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from encoders.errors import GeneQueryError

LIBRARY_SIZE = 1e4
#: Column of the counts of all genes that an index does not keep one by one: part of a library, but no gene.
OUTSIDE = "(genes outside the panel)"
_N_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Profiles:
    """Raw counts with one column for each symbol.

    Attributes
    ----------
    counts : csr_matrix float64 (n, n_genes)
        Finite, not negative.
    genes : tuple of str
        Unique symbols of the columns.
    """

    counts: sp.csr_matrix
    genes: tuple[str, ...]

    @classmethod
    def read(cls, counts: sp.csr_matrix, genes: Sequence[str]) -> "Profiles":
        """Check raw counts and sum columns of the same symbol.

        Raises
        ------
        GeneQueryError
            If columns and symbols differ in number, or a value is negative, NaN or infinite.
        """
        matrix = sp.csr_matrix(counts, dtype=np.float64)
        if matrix.shape[1] != len(genes):
            raise GeneQueryError(
                f"Counts have {matrix.shape[1]} columns but {len(genes)} gene symbols; give one symbol a column."
            )
        _check_values(matrix, genes)
        unique = tuple(dict.fromkeys(genes))
        if len(unique) < len(genes):
            column = {symbol: i for i, symbol in enumerate(unique)}
            pairs = (np.ones(len(genes)), (np.arange(len(genes)), [column[symbol] for symbol in genes]))
            matrix = sp.csr_matrix(matrix @ sp.csr_matrix(pairs, shape=(len(genes), len(unique))))
        return cls(matrix, unique)

    def log_normalised(self) -> sp.csr_matrix:
        """`log1p` of counts per 10,000 of the row, float64; rows without counts stay empty."""
        totals = np.asarray(self.counts.sum(axis=1)).ravel()
        scale = np.divide(LIBRARY_SIZE, totals, out=np.zeros_like(totals), where=totals > 0)
        scaled = sp.csr_matrix(sp.diags(scale) @ self.counts)
        scaled.data = np.log1p(scaled.data)
        return scaled

    def has_counts(self) -> npt.NDArray[np.bool_]:
        """Which rows hold any count, `(n,)`."""
        return np.asarray(self.counts.sum(axis=1)).ravel() > 0


class SymbolTable:
    """The symbols an encoder knows, found exactly or, where only one fits, in another case."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = tuple(symbols)
        self._exact = {symbol: i for i, symbol in enumerate(self.symbols)}
        self._folded: dict[str, list[int]] = {}
        for i, symbol in enumerate(self.symbols):
            self._folded.setdefault(symbol.casefold(), []).append(i)

    def find(self, symbol: str) -> int | None:
        """Row of a symbol; `None` if it is unknown or only fits several that differ in case."""
        if symbol in self._exact:
            return self._exact[symbol]
        fits = self._folded.get(symbol.casefold(), [])
        return fits[0] if len(fits) == 1 else None

    def suggest(self, symbol: str) -> list[str]:
        """Up to three known symbols spelled alike."""
        return difflib.get_close_matches(symbol.upper(), self.symbols, n=_N_EXAMPLES, cutoff=0.6)

    def unknown_message(self, unknown: Sequence[str]) -> str:
        """One sentence that names unknown symbols, what is spelled alike, and what to give instead."""
        named = ", ".join(unknown[:_N_EXAMPLES]) + (" and others" if len(unknown) > _N_EXAMPLES else "")
        alike = list(dict.fromkeys(s for symbol in unknown[:_N_EXAMPLES] for s in self.suggest(symbol)))
        hint = f"Did you mean {', '.join(alike)}?" if alike else f"Give symbols such as {self._examples()}."
        if unknown and unknown[0].upper().startswith("ENS"):
            hint = f"These look like Ensembl ids; give symbols such as {self._examples()}."
        return f"None of the {len(unknown)} genes is known to this space ({named}). {hint}"

    def _examples(self) -> str:
        return ", ".join(self.symbols[:_N_EXAMPLES])


def _check_values(matrix: sp.csr_matrix, genes: Sequence[str]) -> None:
    bad = np.flatnonzero(~(np.isfinite(matrix.data) & (matrix.data >= 0)))
    if len(bad) == 0:
        return
    rows = np.searchsorted(matrix.indptr, bad[:_N_EXAMPLES], side="right") - 1
    examples = ", ".join(
        f"{matrix.data[at]:g} for {genes[matrix.indices[at]]} in row {row}"
        for at, row in zip(bad[:_N_EXAMPLES], rows, strict=True)
    )
    raise GeneQueryError(
        f"{len(bad)} counts are negative or not finite ({examples}); expected raw counts of 0 or more. Give the "
        f"counts before any scaling."
    )
