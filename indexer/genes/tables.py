"""What is known of gene names: symbols of ids, orthologs, previous symbols and aliases."""

import csv
import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, SupportsIndex

from indexer.errors import CountsError


@dataclass(frozen=True)
class GeneTables:
    """What is known of gene names; each table may be empty.

    Attributes
    ----------
    symbol_of_id : mapping
        Current symbol of each Ensembl gene id without version.
    human_of_mouse : mapping
        Human symbols whose ortholog a mouse symbol is; none for a mouse gene that has no ortholog.
    symbols_of_alias : mapping
        Current symbols of each previous symbol or alias.
    mouse_of_id : mapping
        Mouse symbol of each mouse Ensembl gene id without version.
    spelling : mapping
        Symbol to write for a current one, where an index or a space knows the gene by an earlier symbol.
    approved : frozenset of str
        Human symbols that no other table may have.
    stamp : str
        Digest of the tables where it is known without reading them through.
    made_by : tuple or None
        Function, kept in memory, that makes these tables but for the spelling, and its arguments: another process is
        told those instead of a hundred thousand names.
    """

    symbol_of_id: Mapping[str, str] = field(default_factory=dict)
    human_of_mouse: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    symbols_of_alias: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mouse_of_id: Mapping[str, str] = field(default_factory=dict)
    spelling: Mapping[str, str] = field(default_factory=dict)
    approved: frozenset[str] = frozenset()
    stamp: str = ""
    made_by: tuple[Callable[..., "GeneTables"], tuple[Any, ...]] | None = field(default=None, compare=False, repr=False)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """What another process makes them from."""
        if self.made_by is None:
            return super().__reduce_ex__(protocol)
        return _spelt, (*self.made_by, tuple(self.spelling.items()))

    @cached_property
    def human_symbols(self) -> frozenset[str]:
        """Current human symbols, as far as the tables say them."""
        by_name = (symbol for symbols in self.human_of_mouse.values() for symbol in symbols)
        renamed = (symbol for symbols in self.symbols_of_alias.values() for symbol in symbols)
        known = self.approved | frozenset(self.symbol_of_id.values()) | frozenset(by_name) | frozenset(renamed)
        return known - (self.symbols_of_alias.keys() - self.approved)

    @cached_property
    def by_upper_case(self) -> Mapping[str, str]:
        """Current symbols with small letters, such as C1orf159, by their capitals."""
        return {symbol.upper(): symbol for symbol in self.human_symbols if symbol != symbol.upper()}

    @cached_property
    def id_of_symbol(self) -> dict[str, str]:
        """Ensembl id of each human symbol that has a single one, under earlier symbols of the `spelling` as well."""
        ids: dict[str, str | None] = {}
        for gene_id, symbol in self.symbol_of_id.items():
            ids[symbol] = None if symbol in ids else gene_id
        known = {symbol: gene_id for symbol, gene_id in ids.items() if gene_id is not None}
        return known | {written: known[symbol] for symbol, written in self.spelling.items() if symbol in known}

    @cached_property
    def sha256(self) -> str:
        """Digest of all tables but the spelling: with others, the same file gives other genes.

        The spelling is the index's own, which knows by itself what it was made with.
        """
        if self.stamp:
            return self.stamp
        digest = hashlib.sha256(repr(sorted(self.approved)).encode())
        for table in (self.symbol_of_id, self.human_of_mouse, self.symbols_of_alias, self.mouse_of_id):
            digest.update(repr(sorted(table.items())).encode())
        return digest.hexdigest()

    def filled_from(self, other: "GeneTables") -> "GeneTables":
        """These tables, and what only `other` knows; a symbol of `other` that is an alias here is one no more."""
        if not (other.symbol_of_id or other.human_of_mouse or other.symbols_of_alias or other.mouse_of_id):
            return self
        orthologs = {mouse: human for mouse, human in self.human_of_mouse.items() if human}
        aliases = {name: tuple(map(self._current, symbols)) for name, symbols in other.symbols_of_alias.items()}
        added = {mouse: tuple(map(self._current, human)) for mouse, human in other.human_of_mouse.items()}
        return GeneTables(
            symbol_of_id={i: self._current(symbol) for i, symbol in other.symbol_of_id.items()} | {**self.symbol_of_id},
            human_of_mouse={**self.human_of_mouse, **added, **orthologs},
            symbols_of_alias={**aliases, **self.symbols_of_alias},
            mouse_of_id={**other.mouse_of_id, **self.mouse_of_id},
            spelling=self.spelling,
            approved=self.approved | (other.approved - self.symbols_of_alias.keys()),
            stamp=hashlib.sha256(f"{self.sha256} {other.sha256}".encode()).hexdigest(),
        )

    def kept(self, make: Callable[..., "GeneTables"], *given: Any) -> "GeneTables":
        """These tables, of which other processes are told that `make(*given)` makes them."""
        return replace(self, stamp=self.sha256, made_by=(make, given))

    def _current(self, symbol: str) -> str:
        """The symbol that another table's has now, if it is the alias of a single one."""
        current = self.symbols_of_alias.get(symbol, ())
        return current[0] if len(current) == 1 and symbol not in self.approved else symbol

    def spelt_as(self, symbols: Iterable[str]) -> "GeneTables":
        """Tables that write each gene as `symbols` do, where those have it by an earlier symbol and not by its own.

        The genes of a space were read off an annotation of its time: of a file with NOP53, a space that learned
        GLTSCR2 is told GLTSCR2.
        """
        known = frozenset(symbols)
        earlier: dict[str, set[str]] = {}
        for name in known - self.human_symbols:
            current = self.symbols_of_alias.get(name, ())
            if len(current) == 1 and current[0] not in known:
                earlier.setdefault(current[0], set()).add(name)
        single = {symbol: names.pop() for symbol, names in earlier.items() if len(names) == 1}
        return replace(self, spelling=single, stamp=self.sha256)


@cache
def _spelt(
    make: Callable[..., GeneTables], given: tuple[Any, ...], spelling: tuple[tuple[str, str], ...]
) -> GeneTables:
    """Tables as another process had them, made once."""
    tables = make(*given)
    return replace(tables, spelling=dict(spelling), stamp=tables.sha256)


def read_id_table(path: Path) -> dict[str, str]:
    """Symbol of each Ensembl id from a csv (.gz) of `id,symbol` rows without header. Raises `CountsError`."""
    return {gene_id.partition(".")[0]: symbol for gene_id, symbol in _pairs(path, "an Ensembl id and a symbol")}


def read_orthologs(path: Path) -> dict[str, tuple[str, ...]]:
    """Human symbols of each mouse symbol from a csv (.gz) of `human,mouse` rows without header, either may be empty.

    Raises `CountsError` if the file is no such table.
    """
    return grouped((mouse, human) for human, mouse in _pairs(path, "a human and a mouse symbol"))


def read_aliases(path: Path) -> dict[str, tuple[str, ...]]:
    """Current symbols of each alias from a csv (.gz) of `alias,symbol` rows without header. Raises `CountsError`."""
    return grouped(_pairs(path, "an alias and a symbol"))


def grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Values of each key, each once, in the order of the pairs; pairs with an empty part are left out."""
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
