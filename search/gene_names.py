"""Genes by whatever name they are asked for: aliases, old symbols, Ensembl ids and mouse genes as the known symbols."""

import difflib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from encoders.errors import GeneQueryError
from encoders.gene_lists import WeightedGenes
from indexer.genes.misspelling import before_spreadsheet
from indexer.genes.names import name_genes
from indexer.genes.report import Fate
from indexer.genes.shipped import shipped_tables
from indexer.genes.tables import GeneTables

Panel = Callable[[], Collection[str]]
_MOST_SAID, _MOST_HINTS = 6, 3


@dataclass(frozen=True, slots=True)
class NamesRead:
    """What became of the names of genes.

    Attributes
    ----------
    names : tuple of str
        One for each name as given: the known symbol, or as given where there is none.
    renamed : tuple of (str, str)
        As given and as read, of those that another name was read for; another case alone is no other name.
    ambiguous : tuple of (str, tuple of str)
        Names that several genes have had, and those genes; none of them is guessed.
    absent : tuple of (str, str)
        Names of genes that are not known here, and their current symbols.
    unknown : tuple of str
        Names of no gene that the tables have.
    """

    names: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...] = ()
    ambiguous: tuple[tuple[str, tuple[str, ...]], ...] = ()
    absent: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """What was read as what, and which names could be several genes."""
        told = [f"{old} {'' if place else 'was read '}as {new}" for place, (old, new) in enumerate(self.renamed)]
        return (*([f"{_listed(told)}."] if told else []), *self.choices())

    def choices(self) -> tuple[str, ...]:
        """Which names could be several genes."""
        names = [f"{name} may be {_one_of(genes) if genes else 'several genes'}" for name, genes in self.ambiguous]
        return (f"{_listed(names)}: left out, write the gene that is meant.",) if names else ()


class GeneNames:
    """Symbols that are known, found by any name that the genes have had.

    Parameters
    ----------
    known : sequence of str
        Symbols to find, such as those that an encoder reads; with none, any current symbol is found.
    tables : GeneTables, optional
        What is known of names; by default the shipped tables.
    """

    def __init__(self, known: Sequence[str], tables: GeneTables | None = None) -> None:
        self._known = frozenset(known)
        self._examples = tuple(known[:3])
        self._given_tables = tables
        by_case: dict[str, str] = {}
        for symbol in known:  # those that differ in case alone are found as they are written only
            folded = symbol.casefold()
            by_case[folded] = "" if folded in by_case else symbol
        self._by_case = by_case

    @cached_property
    def _tables(self) -> GeneTables:
        return (self._given_tables or shipped_tables()).spelt_as(self._known)

    def read(self, given: Sequence[str], panel: Panel = tuple) -> NamesRead:
        """Find each name: as it is, in another case, then by what the tables say.

        `panel` tells more symbols, asked for only if a name is not known: a name that is one of them is not changed.
        """
        found = {name: self._as_written(name) for name in given}
        strange = [name for name, symbol in found.items() if symbol is None]
        if strange:
            kept = frozenset(symbol.casefold() for symbol in panel())
            strange = [name for name in strange if name.casefold() not in kept]
        renamed, ambiguous, absent, unknown = [], [], [], []
        for name, fate, symbol in self._looked_up(strange):
            if fate == "ambiguous":
                ambiguous.append((name, self._genes_of(name)))
            elif fate in {"unknown", "dropped"}:
                unknown.append(name)
            elif self._known and symbol not in self._known:
                absent.append((name, symbol))
            elif symbol != name:
                found[name] = symbol
                renamed.append((name, symbol))
        names = tuple(found[name] or name for name in given)
        return NamesRead(names, tuple(renamed), tuple(ambiguous), tuple(absent), tuple(unknown))

    def read_list(self, genes: WeightedGenes, panel: Panel = tuple) -> tuple[WeightedGenes, NamesRead]:
        """A list under the known symbols, as `read` finds them; weights of names of one gene are added up.

        Raises
        ------
        GeneQueryError
            If the weights of the names of one gene, and so of the whole list, cancel out.
        """
        read = self.read(genes.symbols, panel)
        weights: dict[str, float] = {}
        for name, weight in zip(read.names, genes.weights, strict=True):
            weights[name] = weights.get(name, 0.0) + weight
        kept = {name: weight for name, weight in weights.items() if weight}
        if not kept:
            raise GeneQueryError(f"The weights of {' and '.join(genes.symbols[:3])} cancel to zero: they are one gene.")
        return WeightedGenes(tuple(kept), tuple(kept.values())), read

    def missing(self, read: NamesRead) -> tuple[str, ...]:
        """What is said of names that were not found: which gene it is, or which symbols are spelled alike."""
        said = [f"{name} is {gene}, which is not known here." for name, gene in read.absent if name != gene]
        for name in read.unknown[:_MOST_HINTS]:
            close = difflib.get_close_matches(name.upper(), self._known, n=3, cutoff=0.6)
            said += [f"{name} is not known; spelled alike: {', '.join(close)}."] if close else []
        return tuple(said[:_MOST_HINTS])

    def check_any(self, read: NamesRead, where: str) -> None:
        """Raise `GeneQueryError` if not one name was found, with what each may have meant."""
        if self._known and self._known.isdisjoint(read.names):
            names = _listed(list(dict.fromkeys(read.names)))
            hints = (*read.choices(), *self.missing(read)) or (f"Give symbols such as {', '.join(self._examples)}.",)
            raise GeneQueryError(f"None of the {len(read.names):,} genes is known to {where} ({names}). {hints[0]}")

    def _as_written(self, name: str) -> str | None:
        return name if name in self._known else self._by_case.get(name.casefold()) or None

    def _looked_up(self, names: Sequence[str]) -> Iterator[tuple[str, Fate, str]]:
        """Each name, what became of it, and its current symbol; aliases are found in any case, as symbols are."""
        if not names:
            return
        fate_of = _fates(names, self._tables)
        capitals = [name.upper() for name in names if fate_of[name][0] == "unknown" and name != name.upper()]
        by_capitals = _fates(capitals, self._tables) if capitals else {}
        for name in names:
            yield name, *by_capitals.get(name.upper() if fate_of[name][0] == "unknown" else "", fate_of[name])

    def _genes_of(self, name: str) -> tuple[str, ...]:
        """Genes that an ambiguous name may be."""
        tables = self._tables
        for table in (tables.symbols_of_alias, tables.human_of_mouse):
            found = table.get(name) or table.get(name.upper())
            if found:
                return tuple(tables.spelling.get(symbol, symbol) for symbol in found)
        dated = (tables.symbols_of_alias.get(other, ()) for other in before_spreadsheet(name))
        return tuple(dict.fromkeys(symbol for symbols in dated for symbol in symbols))


@lru_cache(maxsize=8)
def names_of(known: tuple[str, ...]) -> GeneNames:
    """Names over some symbols, made once for an encoder or a panel."""
    return GeneNames(known)


def aliases_of(known: Sequence[str], tables: GeneTables) -> dict[str, tuple[str, ...]]:
    """Names that lead to each known symbol and to no other, the shortest first; symbols without one are left out."""
    written = {symbol: symbol for symbol in known} | dict(tables.spelt_as(known).spelling)
    found: dict[str, list[str]] = {}
    for alias, symbols in tables.symbols_of_alias.items():
        if len(symbols) == 1 and symbols[0] in written and alias not in written:
            found.setdefault(written[symbols[0]], []).append(alias)
    return {symbol: tuple(sorted(names, key=lambda one: (len(one), one))) for symbol, names in found.items()}


def _fates(names: Sequence[str], tables: GeneTables) -> dict[str, tuple[Fate, str]]:
    """What becomes of each name; ids, capitals and the rest apart, as a list of a person may be of two species."""
    apart: dict[tuple[bool, bool], list[str]] = {}
    for name in names:
        apart.setdefault((name.startswith("ENS"), name == name.upper()), []).append(name)
    reports = [name_genes(alike, None, tables)[1] for alike in apart.values()]
    return {old: (fate, new) for report in reports for fate, pairs in report.genes.items() for old, new in pairs}


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_SAID:,} more" if len(names) > _MOST_SAID else ""
    return ", ".join(names[:_MOST_SAID]) + more


def _one_of(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
