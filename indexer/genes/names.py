"""Gene identifiers of many kinds turned into the symbols an index uses, with a report of what became of them.

Symbols, Ensembl ids with or without version, and mouse symbols (through their human orthologs) become current human
symbols. An id beside a symbol decides: that is how symbols of an older annotation get their present name where no
table of previous symbols is at hand.
"""

import csv
import gzip
import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import scipy.sparse as sp

from indexer.errors import CountsError
from indexer.genes.panel import sum_duplicates

Species = Literal["human", "mouse", "unknown"]
Fate = Literal["mapped", "renamed", "ambiguous", "unknown", "dropped"]
FATES: tuple[Fate, ...] = ("mapped", "renamed", "ambiguous", "unknown", "dropped")

_ENSEMBL = re.compile(r"ENS[A-Z]*G\d{6,}(\.\d+)?(_PAR_Y)?$")
#: Rows that counters and panels add to the genes: sums of STAR and HTSeq, control probes and code words.
_NO_GENE = re.compile(
    r"$|N_(unmapped|multimapping|noFeature|ambiguous)$|__(no_feature|ambiguous|too_low_aQual|not_aligned|"
    r"alignment_not_unique)$|(NegControl|NegativeControl|Negative Control|BLANK|Blank-|Unassigned|Deprecated)",
    re.IGNORECASE,
)
_N_VOTES = 50  # symbols of one capitalisation must outnumber the other by a half, and be at least this many
_N_EXAMPLES = 3


@dataclass(frozen=True)
class GeneTables:
    """What is known of gene names; each table may be empty.

    Attributes
    ----------
    symbol_of_id : mapping
        Current symbol of each Ensembl gene id without version.
    human_of_mouse : mapping
        Human symbols whose ortholog a mouse symbol is.
    symbols_of_alias : mapping
        Current symbols of each previous symbol or alias.
    """

    symbol_of_id: Mapping[str, str] = field(default_factory=dict)
    human_of_mouse: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    symbols_of_alias: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def human_symbols(self) -> frozenset[str]:
        """Current human symbols, as far as the tables say them."""
        orthologs = (symbol for symbols in self.human_of_mouse.values() for symbol in symbols)
        return frozenset(self.symbol_of_id.values()) | frozenset(orthologs)

    @cached_property
    def sha256(self) -> str:
        """Digest of all tables: with others, the same file gives other genes."""
        digest = hashlib.sha256()
        for table in (self.symbol_of_id, self.human_of_mouse, self.symbols_of_alias):
            digest.update(repr(sorted(table.items())).encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class GeneReport:
    """What became of the gene identifiers of one data set.

    Attributes
    ----------
    species : str
        `human`, `mouse` or `unknown`, told from the identifiers.
    genes : dict
        By fate, each identifier with the symbol it has now (empty where dropped): `mapped` kept its name, `renamed` got
        the current symbol of its id, alias or ortholog, `ambiguous` has several and kept its name, `unknown` is in no
        table and kept its name, `dropped` is no gene.
    summed : tuple of str
        Symbols that several columns had, whose counts were added up.
    with_tables : bool
        Whether any table of gene names was at hand.
    """

    species: Species
    genes: Mapping[Fate, tuple[tuple[str, str], ...]]
    summed: tuple[str, ...] = ()
    with_tables: bool = True

    @property
    def counts(self) -> dict[Fate, int]:
        """Number of identifiers by fate."""
        return {fate: len(self.genes[fate]) for fate in FATES}

    def sentence(self) -> str:
        """The report in one line: counts, and examples of all that is not plainly mapped."""
        parts = [f"{len(self.genes['mapped']):,} mapped"]
        for fate in FATES[1:]:
            found = self.genes[fate]
            examples = ", ".join(
                f"{old or '(empty)'} -> {new}" if new not in {"", old} else old or "(empty)"
                for old, new in found[:_N_EXAMPLES]
            )
            parts += [f"{len(found):,} {fate} ({examples})"] if found else []
        if self.summed:
            parts.append(f"{len(self.summed):,} symbols summed ({', '.join(self.summed[:_N_EXAMPLES])})")
        total = sum(self.counts.values())
        return f"{total:,} genes, species {self.species}: {', '.join(parts)}{self._without()}"

    def _without(self) -> str:
        if self.with_tables:
            return ""
        return (
            "; no table of gene names is on this machine, so names are kept (`histoseek data fetch gencode orthologs`)"
        )


def detect_species(symbols: Sequence[str], ids: Sequence[str] | None = None) -> Species:
    """Species of a gene list, by the prefix of Ensembl ids, else by how symbols are written (`ERBB2` or `Erbb2`)."""
    names = [*(ids or ()), *symbols]
    human_ids, mouse_ids = (sum(name.startswith(prefix) for name in names) for prefix in ("ENSG0", "ENSMUSG0"))
    if human_ids or mouse_ids:
        return "human" if human_ids >= mouse_ids else "mouse"
    letters = [symbol for symbol in symbols if len(symbol) > 2 and symbol[0].isalpha()]
    upper = sum(symbol == symbol.upper() for symbol in letters)
    title = sum(symbol[0].isupper() and symbol[1:] == symbol[1:].lower() for symbol in letters)
    if max(upper, title) < min(_N_VOTES, max(3, len(letters) // 2)) or 2 * min(upper, title) > max(upper, title):
        return "unknown"
    return "human" if upper > title else "mouse"


def name_genes(
    symbols: Sequence[str], ids: Sequence[str] | None, tables: GeneTables
) -> tuple[tuple[str, ...], GeneReport]:
    """Current symbol of each gene.

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
    species = detect_species(symbols, ids)
    given = [""] * len(symbols) if ids is None else list(ids)
    names: list[str] = []
    fates: dict[Fate, list[tuple[str, str]]] = {fate: [] for fate in FATES}
    for symbol, gene_id in zip(symbols, given, strict=True):
        fate, name = _name(symbol.strip(), gene_id.strip(), species, tables)
        names.append(name)
        fates[fate].append((symbol, name))
    genes = {fate: tuple(found) for fate, found in fates.items()}
    return tuple(names), GeneReport(species, genes, with_tables=bool(tables.human_symbols or tables.symbols_of_alias))


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


def read_id_table(path: Path) -> dict[str, str]:
    """Symbol of each Ensembl id from a csv (.gz) of `id,symbol` rows without header. Raises `CountsError`."""
    return {gene_id.partition(".")[0]: symbol for gene_id, symbol in _pairs(path, "an Ensembl id and a symbol")}


def read_orthologs(path: Path) -> dict[str, tuple[str, ...]]:
    """Human symbols of each mouse symbol from a csv (.gz) of `human,mouse` rows without header, either may be empty.

    Raises `CountsError` if the file is no such table.
    """
    return _grouped((mouse, human) for human, mouse in _pairs(path, "a human and a mouse symbol"))


def read_aliases(path: Path) -> dict[str, tuple[str, ...]]:
    """Current symbols of each alias from a csv (.gz) of `alias,symbol` rows without header. Raises `CountsError`."""
    return _grouped(_pairs(path, "an alias and a symbol"))


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for key, value in pairs:
        if key and value:
            found.setdefault(key, {})[value] = None
    return {key: tuple(values) for key, values in found.items()}


def _pairs(path: Path, expected: str) -> list[tuple[str, str]]:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        rows = list(csv.reader(content.decode("utf-8").splitlines()))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise CountsError(f"Cannot read the table of genes {path}: {error}; expected {expected} a line.") from error
    for number, row in enumerate(rows, start=1):
        if len(row) != 2:
            raise CountsError(f"{path.name}, line {number}: got {row}; expected {expected}.")
    return [(row[0], row[1]) for row in rows]


def _name(symbol: str, gene_id: str, species: Species, tables: GeneTables) -> tuple[Fate, str]:
    if _NO_GENE.match(symbol) and (symbol or not gene_id):
        return "dropped", ""
    is_id = bool(_ENSEMBL.match(symbol))
    known = gene_id or (symbol if is_id else "")
    current = tables.symbol_of_id.get(known.partition(".")[0]) if known else None
    if current:
        return ("mapped" if current == symbol else "renamed"), current
    plain = symbol.partition(".")[0] if is_id else symbol or gene_id.partition(".")[0]
    if species == "mouse":
        return _human(plain, tables)
    if plain in tables.human_symbols:
        return "mapped", plain
    return _one_of(plain, tables.symbols_of_alias.get(plain, ()))


def _human(symbol: str, tables: GeneTables) -> tuple[Fate, str]:
    """Human ortholog of a mouse symbol; of several the one of the same letters, `Xkr4` being XKR4."""
    orthologs = tables.human_of_mouse.get(symbol, ())
    same = symbol.upper()
    return ("renamed", same) if same in orthologs else _one_of(symbol, orthologs)


def _one_of(name: str, found: Sequence[str]) -> tuple[Fate, str]:
    if len(found) == 1:
        return "renamed", found[0]
    return ("ambiguous" if found else "unknown"), name
