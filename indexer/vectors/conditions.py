"""The usual part of SQL conditions, answered from columns in memory as LanceDB would answer them.

Comparisons of a column with a literal, BETWEEN, IN, LIKE, IS NULL, AND, OR, NOT. Text columns are dictionary codes, so
a condition is put to each different value once. Whatever else a condition holds is left to LanceDB: `compile_where`
then gives `None`. Nulls follow SQL: a comparison with null is unknown, and only what is true is selected.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Mask = npt.NDArray[np.bool_]


class Truth(NamedTuple):
    """Where a condition is true and where it is false; it is unknown where it is neither. Both bool `(n,)`."""

    true: Mask
    false: Mask


Columns = Callable[[str], Any]  # the Arrow array of a column
Condition = Callable[[Columns], Truth]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|(?P<text>'(?:[^']|'')*')"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<mark><=|>=|<>|!=|==|[=<>(),-]))"
)
_KEYWORDS = {"and", "or", "not", "in", "like", "is", "null", "between", "true", "false"}
_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": np.equal,
    "==": np.equal,
    "!=": np.not_equal,
    "<>": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_MOST_DEEP = 40


class _NotUsualError(ValueError):
    """The condition holds something that is left to LanceDB."""


def compile_where(where: str, types: Mapping[str, pa.DataType]) -> Condition | None:
    """Compile a condition over some columns.

    Parameters
    ----------
    where : str
        SQL text.
    types : mapping of str to pyarrow.DataType
        Type of each column: string, boolean or float32.

    Returns
    -------
    callable or None
        Takes a function that gives a column as an Arrow array (text as a dictionary), and gives its `Truth`; `None`
        if the condition is not of the usual kind.
    """
    try:
        return _Parser(_tokens(where), types).parse()
    except _NotUsualError:
        return None


def _tokens(where: str) -> list[tuple[str, str]]:
    tokens, place = [], 0
    text = where.rstrip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise _NotUsualError(where)
        kind, value = found.lastgroup, found.group(found.lastgroup)
        if kind == "word" and value.lower() in _KEYWORDS:
            kind, value = "keyword", value.lower()
        tokens.append((kind, value))
        place = found.end()
    return tokens


class _Parser:
    """Recursive descent over OR, AND, NOT and predicates."""

    def __init__(self, tokens: list[tuple[str, str]], types: Mapping[str, pa.DataType]) -> None:
        self._tokens = [*tokens, ("end", "")]
        self._types = types
        self._at = 0
        self._depth = 0
        self._inverted = 0

    def parse(self) -> Condition:
        condition = self._either()
        self._expect("end", "")
        return condition

    def _either(self) -> Condition:
        parts = [self._both()]
        while self._take("keyword", "or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else _any_of(parts)

    def _both(self) -> Condition:
        parts = [self._negated()]
        while self._take("keyword", "and"):
            parts.append(self._negated())
        return parts[0] if len(parts) == 1 else _all_of(parts)

    def _negated(self) -> Condition:
        self._depth += 1
        if self._depth > _MOST_DEEP:
            raise _NotUsualError("nested too deeply")
        if self._take("keyword", "not"):
            self._inverted += 1
            inner = _negation(self._negated())
            self._inverted -= 1
        elif self._take("mark", "("):
            inner = self._either()
            self._expect("mark", ")")
        else:
            inner = self._predicate()
        self._depth -= 1
        return inner

    def _predicate(self) -> Condition:
        kind, value = self._next()
        if kind != "word":
            self._at -= 1
            literal = self._literal()
            mark = self._mark()
            column = self._column(self._next())
            return self._comparison(column, _MIRRORED.get(mark, mark), literal)
        column = self._column((kind, value))
        if self._take("keyword", "is"):
            wants_null = not self._take("keyword", "not")
            self._expect("keyword", "null")
            return _null_test(column, wants_null=wants_null)
        negate = self._take("keyword", "not")
        for word, predicate in (("between", self._between), ("in", self._membership), ("like", self._like)):
            if self._take("keyword", word):
                found = predicate(column)
                return _negation(found) if negate else found
        if negate:
            raise _NotUsualError(value)
        if pa.types.is_boolean(self._types[column]) and self._tokens[self._at][0] != "mark":
            return _test(column, lambda values: values)
        if self._tokens[self._at] == ("mark", ")") and pa.types.is_boolean(self._types[column]):
            return _test(column, lambda values: values)
        return self._comparison(column, self._mark(), self._literal())

    def _between(self, column: str) -> Condition:
        low = self._literal()
        self._expect("keyword", "and")
        return _all_of([self._comparison(column, ">=", low), self._comparison(column, "<=", self._literal())])

    def _membership(self, column: str) -> Condition:
        self._expect("mark", "(")
        values = [self._fitting(column, self._literal())]
        while self._take("mark", ","):
            values.append(self._fitting(column, self._literal()))
        self._expect("mark", ")")
        wanted = np.array(values, dtype=object if isinstance(values[0], str) else np.float32)
        if isinstance(values[0], bool):
            raise _NotUsualError("IN over booleans")
        return _test(column, lambda found: np.isin(found, wanted))

    def _like(self, column: str) -> Condition:
        pattern = self._literal()
        if not isinstance(pattern, str) or "\\" in pattern or not pa.types.is_string(self._types[column]):
            raise _NotUsualError(column)
        parts = (".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
        matches = re.compile("".join(parts), re.DOTALL).fullmatch
        return _test(column, lambda found: np.array([matches(v) is not None for v in found], dtype=np.bool_))

    def _comparison(self, column: str, mark: str, literal: Any) -> Condition:
        value, compare = self._fitting(column, literal), _COMPARE[mark]
        if isinstance(value, bool) and mark not in ("=", "==", "!=", "<>"):
            raise _NotUsualError(column)
        return _test(column, lambda found: np.asarray(compare(found, value), dtype=np.bool_))

    def _fitting(self, column: str, literal: Any) -> Any:
        kind = self._types[column]
        if pa.types.is_boolean(kind) and isinstance(literal, bool):
            return literal
        if pa.types.is_string(kind) and isinstance(literal, str):
            return literal
        # LanceDB rounds a literal to the column's precision, but not inside NOT (0.40): there it answers itself.
        fits = isinstance(literal, float) and (not self._inverted or float(np.float32(literal)) == literal)
        if pa.types.is_float32(kind) and fits:
            return np.float32(literal)
        raise _NotUsualError(column)

    def _literal(self) -> Any:
        kind, value = self._next()
        if kind == "text":
            return value[1:-1].replace("''", "'")
        if (kind, value) == ("mark", "-") and self._tokens[self._at][0] == "number":
            return -float(self._next()[1])
        if kind == "number":
            return float(value)
        if kind == "keyword" and value in ("true", "false"):
            return value == "true"
        raise _NotUsualError(value)

    def _column(self, token: tuple[str, str]) -> str:
        kind, name = token
        if kind != "word" or name not in self._types:
            raise _NotUsualError(name)
        return name

    def _mark(self) -> str:
        kind, value = self._next()
        if kind != "mark" or value not in _COMPARE:
            raise _NotUsualError(value)
        return value

    def _next(self) -> tuple[str, str]:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _take(self, kind: str, value: str) -> bool:
        found = self._tokens[self._at] == (kind, value)
        self._at += found
        return found

    def _expect(self, kind: str, value: str) -> None:
        if self._tokens[self._at] != (kind, value):
            raise _NotUsualError(value)
        self._at += 1


def _test(column: str, true_of: Callable[[Any], Any]) -> Condition:
    """Condition on the values of one column; of a dictionary, on each different value once."""

    def condition(columns: Columns) -> Truth:
        array = columns(column)
        valid = np.asarray(array.is_valid())
        if pa.types.is_dictionary(array.type):
            values: npt.NDArray[Any] = np.array(array.dictionary.to_pylist(), dtype=object)
            per_value = np.asarray(true_of(values), dtype=np.bool_) if len(values) else np.zeros(0, dtype=np.bool_)
            codes = np.asarray(array.indices.fill_null(0))
            true = per_value[codes] if len(values) else np.zeros(len(array), dtype=np.bool_)
        else:
            empty = False if pa.types.is_boolean(array.type) else "" if _is_text(array.type) else 0
            values = array.fill_null(empty).to_numpy(zero_copy_only=False)
            if pa.types.is_floating(array.type):
                values = np.where(
                    np.isnan(values), np.float32(np.inf), values
                )  # NaN is above all numbers, as in LanceDB
            true = np.asarray(true_of(values), dtype=np.bool_)
        return Truth(true & valid, ~true & valid)

    return condition


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _null_test(column: str, *, wants_null: bool) -> Condition:
    def condition(columns: Columns) -> Truth:
        is_null = ~np.asarray(columns(column).is_valid())
        return Truth(is_null, ~is_null) if wants_null else Truth(~is_null, is_null)

    return condition


def _negation(inner: Condition) -> Condition:
    def condition(columns: Columns) -> Truth:
        found = inner(columns)
        return Truth(found.false, found.true)

    return condition


def _all_of(parts: list[Condition]) -> Condition:
    def condition(columns: Columns) -> Truth:
        found = [part(columns) for part in parts]
        return Truth(
            np.logical_and.reduce([one.true for one in found]), np.logical_or.reduce([one.false for one in found])
        )

    return condition


def _any_of(parts: list[Condition]) -> Condition:
    def condition(columns: Columns) -> Truth:
        found = [part(columns) for part in parts]
        return Truth(
            np.logical_or.reduce([one.true for one in found]), np.logical_and.reduce([one.false for one in found])
        )

    return condition
