"""Conditions from strangers: short, shallow, and without functions that take any memory they like."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from app.api.settings import MAX_WHERE

_CALL = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*\(")
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_MAX_DEPTH = 32
#: Words that may stand before a bracket.
_OPERATORS = "and|or|not|in|like|is|between|when|then|else|case|as"
_FUNCTIONS = "cast|lower|upper|length|abs|round|coalesce|starts_with|contains|regexp_like|isnan"
_OFFERED = re.compile(f"{_OPERATORS}|{_FUNCTIONS}", re.IGNORECASE)


def _bounded_condition(where: str) -> str:
    rest = _LITERAL.sub("''", where)
    for call in _CALL.finditer(rest):
        if not _OFFERED.fullmatch(call.group(1)):
            raise ValueError(
                f"the function {call.group(1)!r} is not offered over HTTP; use lower, upper, length, abs, round, "
                "coalesce, starts_with, contains or regexp_like"
            )
    depth = 0
    for letter in rest:
        depth += (letter == "(") - (letter == ")")
        if depth > _MAX_DEPTH:
            raise ValueError(f"its brackets are nested more than {_MAX_DEPTH} deep; write a simpler condition")
    return where


Where = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_WHERE),
    AfterValidator(_bounded_condition),
    Field(
        description="SQL condition over the columns of an item.", examples=["organ = 'breast' AND total_counts > 500"]
    ),
]
