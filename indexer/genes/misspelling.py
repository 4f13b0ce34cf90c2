"""Symbols as programs leave them: R turns hyphens into dots, spreadsheets make dates, scanpy numbers what repeats."""

import re
from collections.abc import Collection, Iterator, Mapping

#: Of genomes in one reference, as Cell Ranger writes them: `GRCh38_ERBB2`, `mm10___Erbb2`.
_GENOME = re.compile(r"(?:GRCh3[78]|GRCm3[89]|hg19|hg38|mm10|mm39)_+(?=.)")
_REPEATED = re.compile(r"(.+)[-.]\d{1,2}$")
_DATE = re.compile(r"(?:(\d{1,2})-(Mar|Sep|Dec)|(Mar|Sep|Dec)-(\d{1,2}))$", re.IGNORECASE)
_STEMS = {"mar": ("MARCH", "MARC"), "sep": ("SEPT",), "dec": ("DEC",)}


def without_genome(symbol: str) -> str:
    """The symbol without the name of its reference genome."""
    return _GENOME.sub("", symbol, count=1) if symbol[:2] in {"GR", "hg", "mm"} else symbol


def other_spellings(symbol: str, listed: Collection[str], by_upper_case: Mapping[str, str]) -> Iterator[str]:
    """Symbols that one in no table may have been, the likeliest first.

    Parameters
    ----------
    symbol : str
        As the file has it.
    listed : collection of str
        All symbols of the file: `TBCE-1` is the second `TBCE` only if there is a first.
    by_upper_case : mapping
        Symbols with small letters by their capitals: `C1ORF159` is C1orf159.
    """
    if symbol.upper() in by_upper_case:
        yield by_upper_case[symbol.upper()]
    if "." in symbol:
        yield symbol.replace(".", "-")
    repeated = _REPEATED.match(symbol)
    if repeated and repeated[1] in listed:
        yield repeated[1]


def before_spreadsheet(symbol: str) -> tuple[str, ...]:
    """Symbols that a spreadsheet may have turned into this date: SEPT2 of `2-Sep`, MARCH1 or MARC1 of `1-Mar`."""
    date = _DATE.match(symbol)
    if not date:
        return ()
    day, month = date[1] or date[4], date[2] or date[3]
    return tuple(f"{stem}{int(day)}" for stem in _STEMS[month.lower()])
