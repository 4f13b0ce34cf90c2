"""The panel: the ordered genes whose values an index stores, by symbol and Ensembl id."""

import csv
import gzip
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from indexer.errors import CountsError
from indexer.slides import SlideSource


@runtime_checkable
class ListsGenes(Protocol):
    """A source that can name its genes without reading its counts."""

    def read_genes(self) -> Sequence[str]:
        """Symbols of the columns of `read_expression`, in their order. Raises `CountsError`."""


@dataclass(frozen=True)
class Panel:
    """Ordered genes of an index.

    Attributes
    ----------
    symbols : tuple of str
        Unique, in the order of the index's `genes` table.
    ensembl_ids : tuple of (str or None)
        One for each symbol; `None` where no gene table was at hand or the symbol has no single id.
    """

    symbols: tuple[str, ...]
    ensembl_ids: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.symbols)

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Place of each symbol in the panel."""
        return {symbol: place for place, symbol in enumerate(self.symbols)}

    @cached_property
    def sha256(self) -> str:
        """Digest of the ordered symbols; two indexes with the same one store the same genes."""
        return hashlib.sha256("\n".join(self.symbols).encode()).hexdigest()

    def columns_of(self, genes: Sequence[str]) -> npt.NDArray[np.int32]:
        """Place in the panel of each gene, `int32 (len(genes),)`; -1 for genes outside it."""
        return np.array([self.position.get(symbol, -1) for symbol in genes], dtype=np.int32)


def panel_of(symbols: Iterable[str], *, gene_table: Mapping[str, str] | None = None) -> Panel:
    """Panel of some symbols, sorted, each once."""
    ordered = tuple(sorted(set(symbols)))
    table = gene_table or {}
    return Panel(ordered, tuple(table.get(symbol) for symbol in ordered))


def panel_from_sources(sources: Iterable[SlideSource], *, gene_table: Mapping[str, str] | None = None) -> Panel:
    """Panel of all genes that any source measures, from the headers of their counts where the format allows it.

    A source without expression adds nothing. Raises what `read_genes` raises.
    """
    symbols: set[str] = set()
    for source in sources:
        if isinstance(source, ListsGenes):
            symbols.update(source.read_genes())
        else:
            expression = source.read_expression()
            symbols.update(() if expression is None else expression.genes)
    return panel_of(symbols, gene_table=gene_table)


def read_gene_table(path: Path) -> dict[str, str]:
    """Ensembl id of each symbol from a csv (.gz) of `id,symbol` rows without header.

    A symbol with several ids is left out: nothing in a counts table says which of them was measured.

    Raises
    ------
    CountsError
        If a row does not start with an Ensembl gene id and a symbol.
    """
    ids: dict[str, set[str]] = {}
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    for number, row in enumerate(csv.reader(content.decode("utf-8").splitlines()), start=1):
        if len(row) < 2 or not row[0].startswith("ENS") or not row[1]:
            raise CountsError(f"{path.name}, line {number}: got {row}; expected an Ensembl gene id and a symbol.")
        ids.setdefault(row[1], set()).add(row[0].partition(".")[0])
    return {symbol: next(iter(found)) for symbol, found in ids.items() if len(found) == 1}


def unique_genes(genes: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Symbols in the order of their first appearance, and those among them that appear more than once."""
    times = Counter(genes)
    return tuple(times), tuple(symbol for symbol, n in times.items() if n > 1)


def sum_duplicates(
    counts: sp.csr_matrix, genes: Sequence[str]
) -> tuple[sp.csr_matrix, tuple[str, ...], tuple[str, ...]]:
    """Add up the columns that share a symbol.

    Parameters
    ----------
    counts : csr_matrix float32 (n, len(genes))
        Raw counts.
    genes : sequence of str
        Symbol of each column.

    Returns
    -------
    counts : csr_matrix float32 (n, n_unique)
        The same object if no symbol is repeated.
    genes : tuple of str
        Unique symbols, in the order of their first appearance.
    duplicated : tuple of str
        Symbols whose columns were added up.
    """
    symbols, duplicated = unique_genes(genes)
    if not duplicated:
        return counts, symbols, ()
    place = {symbol: column for column, symbol in enumerate(symbols)}
    columns = np.array([place[symbol] for symbol in genes])
    ones = np.ones(len(genes), dtype=counts.dtype)
    adding = sp.csr_matrix((ones, (np.arange(len(genes)), columns)), shape=(len(genes), len(symbols)))
    return sp.csr_matrix(counts @ adding), symbols, duplicated
