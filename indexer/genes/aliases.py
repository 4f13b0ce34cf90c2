"""Table of previous symbols and aliases of human genes, made from the complete set of HGNC (CC0).

HistoSeek comes with the table of one release (`indexer.genes.shipped`). A newer one goes before it: `histoseek data
aliases` puts what is needed of HGNC's file (`hgnc_complete_set.txt`) into the cache, where ingest finds it.
"""

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from indexer.errors import CountsError, WriteError

_COLUMNS = ("symbol", "status", "alias_symbol", "prev_symbol")


def aliases_of_hgnc(path: Path) -> dict[str, tuple[str, ...]]:
    """Current symbols of each previous symbol or alias.

    A name that is itself a current symbol stays that symbol. A previous symbol goes before an alias of another gene; a
    name that is left with several genes keeps them all, and is ambiguous.

    Raises
    ------
    CountsError
        If the file is not the complete set of HGNC.
    """
    rows = [row for row in _rows(path) if row["status"] == "Approved"]
    current = {row["symbol"] for row in rows}
    aliases = _by_name((name, row["symbol"]) for row in rows for name in _names(row["alias_symbol"]))
    previous = _by_name((name, row["symbol"]) for row in rows for name in _names(row["prev_symbol"]))
    return {name: symbols for name, symbols in sorted((aliases | previous).items()) if name not in current}


def write_aliases(aliases: Mapping[str, tuple[str, ...]], path: Path) -> None:
    """Write `alias,symbol` rows, all of them or none. Raises `WriteError`."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows((name, symbol) for name, symbols in aliases.items() for symbol in symbols)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise WriteError(f"Cannot write {path}: {error}; nothing was changed.") from error


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream, delimiter="\t")
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            rows = [] if missing else [{name: row[name] or "" for name in _COLUMNS} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CountsError(f"Cannot read {path}: {error}; expected hgnc_complete_set.txt.") from error
    if missing or not rows:
        raise CountsError(f"{path} has no {', '.join(missing) or 'rows'}; expected hgnc_complete_set.txt of HGNC.")
    return rows


def _names(cell: str) -> list[str]:
    return [name for name in cell.strip('"').split("|") if name]


def _by_name(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for name, symbol in pairs:
        found.setdefault(name, {})[symbol] = None
    return {name: tuple(symbols) for name, symbols in found.items()}
