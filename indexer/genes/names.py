"""Gene identifiers of many kinds turned into the symbols an index uses, with a report of what became of them.

Symbols, Ensembl ids with or without version, previous symbols, aliases, and mouse genes (through their human orthologs)
become current human symbols. An id beside a symbol decides, since symbols are given anew to other genes.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from indexer.genes.misspelling import before_spreadsheet, other_spellings, without_genome
from indexer.genes.panel import sum_duplicates
from indexer.genes.report import FATES, Fate, GeneReport
from indexer.genes.species import Species, detect_species
from indexer.genes.tables import GeneTables

_ENSEMBL = re.compile(r"ENS[A-Z]*G\d{6,}(\.\d+)?(_PAR_Y)?$")
#: Rows that counters and panels add to the genes: sums of STAR and HTSeq, control probes and code words.
_NO_GENE = re.compile(
    r"$|N_(unmapped|multimapping|noFeature|ambiguous)$|__(no_feature|ambiguous|too_low_aQual|not_aligned|"
    r"alignment_not_unique)$|(NegControl|NegativeControl|Negative Control|BLANK|Blank-|Unassigned|Deprecated)",
    re.IGNORECASE,
)


def name_genes(
    symbols: Sequence[str], ids: Sequence[str] | None, tables: GeneTables
) -> tuple[tuple[str, ...], GeneReport]:
    """Current symbol of each gene, or the earlier one by which the index knows it.

    Parameters
    ----------
    symbols : sequence of str
        Symbol or Ensembl id of each column.
    ids : sequence of str or None
        Ensembl id of each column, where the file has them as well.
    tables : GeneTables
        What is known of gene names.

    Returns
    -------
    names : tuple of str
        One for each column, empty where the column is no gene; the same symbol may come more than once.
    report : GeneReport
        What became of them, `summed` left empty.
    """
    plain = [without_genome(symbol.strip()) for symbol in symbols]
    given = [""] * len(symbols) if ids is None else [without_genome(gene_id.strip()) for gene_id in ids]
    naming = _Naming(tables, detect_species(plain, given), frozenset(plain))
    names: list[str] = []
    fates: dict[Fate, list[tuple[str, str]]] = {fate: [] for fate in FATES}
    for written, symbol, gene_id in zip(symbols, plain, given, strict=True):
        fate, name = naming.name(symbol, gene_id)
        name = tables.spelling.get(name, name)
        if fate in {"mapped", "renamed"}:
            fate = "mapped" if name == written else "renamed"
        names.append(name)
        fates[fate].append((written, name))
    genes = {fate: tuple(found) for fate, found in fates.items()}
    with_tables = bool(tables.human_symbols or tables.symbols_of_alias)
    return tuple(names), GeneReport(naming.species, genes, with_tables=with_tables)


def name_columns(
    counts: sp.csr_matrix, symbols: Sequence[str], ids: Sequence[str] | None, tables: GeneTables
) -> tuple[sp.csr_matrix, tuple[str, ...], GeneReport]:
    """Counts `(n, n_unique)` over current symbols: columns that are no gene left out, repeated symbols added up."""
    names, report = name_genes(symbols, ids, tables)
    kept = np.flatnonzero([bool(name) for name in names])
    if len(kept) < len(names):
        counts = sp.csr_matrix(counts[:, kept])
    counts, unique, summed = sum_duplicates(counts, [names[column] for column in kept])
    return counts, unique, replace(report, summed=summed)


class _Naming:
    """Names of the genes of one file, whose species and other symbols decide where a symbol alone does not."""

    def __init__(self, tables: GeneTables, species: Species, listed: Collection[str]) -> None:
        self.species = species
        self._tables = tables
        self._listed = listed
        self._mouse_only = tables.human_of_mouse.keys() - tables.human_symbols if species == "unknown" else frozenset()

    def name(self, symbol: str, gene_id: str) -> tuple[Fate, str]:
        """Fate and symbol of a gene by its symbol, which may be an id, and its id where there is one."""
        tables = self._tables
        if _NO_GENE.match(symbol) and (symbol or not gene_id):
            return "dropped", ""
        is_id = bool(_ENSEMBL.match(symbol))
        known = (gene_id or (symbol if is_id else "")).partition(".")[0]
        if known in tables.symbol_of_id:
            return "renamed", tables.symbol_of_id[known]
        if known in tables.mouse_of_id:
            return self._ortholog(tables.mouse_of_id[known])
        plain = symbol.partition(".")[0] if is_id else symbol or known
        return self._ortholog(plain) if self._is_mouse(plain) else self._human(plain)

    def _is_mouse(self, symbol: str) -> bool:
        """Whether a symbol is to be read as a mouse's: of a file of both species, as it is written."""
        return self.species == "mouse" or (self.species == "unknown" and symbol in self._mouse_only)

    def _human(self, symbol: str) -> tuple[Fate, str]:
        """A current symbol goes before a previous one, and that before an alias and a misspelling."""
        tables = self._tables
        if symbol in tables.human_symbols:
            return "mapped", symbol
        if symbol in tables.symbols_of_alias:
            return _one_of(symbol, tables.symbols_of_alias[symbol])
        for other in other_spellings(symbol, self._listed, tables.by_upper_case):
            if other in tables.human_symbols:
                return "renamed", other
            if len(tables.symbols_of_alias.get(other, ())) == 1:
                return "renamed", tables.symbols_of_alias[other][0]
        dated = [name for other in before_spreadsheet(symbol) for name in tables.symbols_of_alias.get(other, ())]
        return _one_of(symbol, tuple(dict.fromkeys(dated)))

    def _ortholog(self, symbol: str) -> tuple[Fate, str]:
        """Human ortholog of a mouse symbol; of several the one of the same letters, `Xkr4` being XKR4."""
        known = self._tables.human_of_mouse
        if symbol not in known:
            symbol = next((other for other in other_spellings(symbol, self._listed, {}) if other in known), symbol)
        orthologs = known.get(symbol, ())
        if symbol.upper() in orthologs:
            return "renamed", symbol.upper()
        if symbol in known and not orthologs:
            return "no ortholog", symbol
        return _one_of(symbol, orthologs)


def _one_of(name: str, found: Sequence[str]) -> tuple[Fate, str]:
    if len(found) == 1:
        return "renamed", found[0]
    return ("ambiguous" if found else "unknown"), name
