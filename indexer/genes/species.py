"""Which species a list of genes is of, from its identifiers alone."""

from collections.abc import Sequence
from typing import Literal

Species = Literal["human", "mouse", "unknown"]

_N_VOTES = 50  # symbols of one capitalisation must outnumber the other by a half, and be at least this many


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
