"""Short weighted gene lists, the way people type a transcriptome: `ERBB2:2 KRT19 -VIM`."""

import math
import re
from dataclasses import dataclass

from encoders.errors import GeneQueryError

_MAX_GENES = 5_000
_TERM = re.compile(r"(?P<sign>[-+]?)(?P<symbol>[A-Za-z0-9][A-Za-z0-9._-]*)(?::(?P<weight>[-+]?[0-9.eE+-]+))?")


@dataclass(frozen=True, slots=True)
class WeightedGenes:
    """Gene symbols with weights; a negative weight asks for the gene to be low.

    Attributes
    ----------
    symbols : tuple of str
        As typed, in order, each once (weights of repeats are summed).
    weights : tuple of float
        Finite, not zero.
    """

    symbols: tuple[str, ...]
    weights: tuple[float, ...]

    @classmethod
    def parse(cls, text: str) -> "WeightedGenes":
        """Read `SYMBOL[:WEIGHT]` terms separated by spaces, commas or lines; a leading minus negates.

        Raises
        ------
        GeneQueryError
            If the text is empty, a term does not parse, a weight is zero or not finite, or there are over 5,000.
        """
        terms = re.split(r"[\s,;]+", text.strip())
        if terms == [""]:
            raise GeneQueryError('The gene list is empty; expected symbols such as "ERBB2:2 KRT19 -VIM".')
        if len(terms) > _MAX_GENES:
            raise GeneQueryError(f"The gene list has {len(terms)} terms; at most {_MAX_GENES} are read. Shorten it.")
        totals: dict[str, float] = {}
        for term in terms:
            symbol, weight = _parse_term(term)
            totals[symbol] = totals.get(symbol, 0.0) + weight
        kept = {symbol: weight for symbol, weight in totals.items() if weight != 0}
        if not kept:
            raise GeneQueryError(f"All weights in {text!r} cancel to zero; give at least one gene a weight.")
        return cls(tuple(kept), tuple(kept.values()))

    def __str__(self) -> str:
        return " ".join(_format_term(s, w) for s, w in zip(self.symbols, self.weights, strict=True))


def _parse_term(term: str) -> tuple[str, float]:
    match = _TERM.fullmatch(term)
    if match is None:
        raise GeneQueryError(f'Cannot read the gene term {term!r}; expected SYMBOL or SYMBOL:WEIGHT, e.g. "ERBB2:2".')
    try:
        weight = float(match["weight"] or 1)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight) or weight == 0:
        raise GeneQueryError(f"The weight in {term!r} is not a finite number other than 0.")
    return match["symbol"], -weight if match["sign"] == "-" else weight


def _format_term(symbol: str, weight: float) -> str:
    sign, size = ("-" if weight < 0 else ""), abs(weight)
    return f"{sign}{symbol}" if size == 1 else f"{sign}{symbol}:{size:g}"
