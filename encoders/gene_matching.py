"""Genes that are given against genes that an encoder knows: which belong together, and what is reported of the rest."""

from collections.abc import Sequence

import numpy as np

from encoders.contracts import Floats, GeneReport
from encoders.errors import GeneQueryError
from encoders.profiles import SymbolTable


def match_columns(table: SymbolTable, given: Sequence[str]) -> tuple[list[int], list[int], GeneReport]:
    """Columns of `given` and rows of the encoder that belong together, and what was used.

    Of several spellings of one gene the exact one is read, else the first.

    Raises
    ------
    GeneQueryError
        If no gene is known, with what is spelled alike.
    """
    found = [table.find(symbol) for symbol in given]
    taken: dict[int, int] = {}
    for column, row in enumerate(found):
        if row is not None and (row not in taken or given[column] == table.symbols[row]):
            taken[row] = column
    if not taken:
        raise GeneQueryError(table.unknown_message(given))
    used = set(taken.values())
    report = GeneReport(
        used=tuple(table.symbols[row] for row in taken),
        unknown=tuple(symbol for column, symbol in enumerate(given) if column not in used),
    )
    return list(taken.values()), list(taken), report


def place_weights(table: SymbolTable, symbols: Sequence[str], weights: Sequence[float]) -> tuple[Floats, GeneReport]:
    """Weights of symbols in the order of the encoder's genes, `float32 (n_genes,)`, and which were used.

    Raises
    ------
    GeneQueryError
        If no gene is known, with what is spelled alike.
    """
    placed = np.zeros(len(table.symbols), dtype=np.float32)
    used, unknown = [], []
    for symbol, weight in zip(symbols, weights, strict=True):
        row = table.find(symbol)
        if row is None:
            unknown.append(symbol)
        else:
            placed[row] += weight
            used.append(table.symbols[row])
    if not used:
        raise GeneQueryError(table.unknown_message(unknown))
    return placed, GeneReport(used=tuple(dict.fromkeys(used)), unknown=tuple(unknown))


def check_not_cancelled(vector: Floats, report: GeneReport) -> None:
    """Raise `GeneQueryError` if the weights of a list have cancelled to nothing."""
    if not np.any(vector):
        raise GeneQueryError(
            f"The weights of {', '.join(report.used[:3])} cancel to zero; give at least one gene a weight."
        )
