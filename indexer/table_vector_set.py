"""Searching vectors that are read from the table: comparing them one by one is dear, so the lists decide sooner."""

from dataclasses import dataclass, fields
from typing import Any, Self

from indexer.selection import Mask, Selection
from indexer.vectors import Strategy, VectorSet

#: Rows that are read one by one in the time of a search over lists.
_FEW = 1_000
#: More hits than this are found by reading every allowed row, in one stream.
_MANY = 2_000


@dataclass(frozen=True)
class TableVectorSet(VectorSet):
    """A `VectorSet` whose `base` is a `TableVectors`."""

    @classmethod
    def of(cls, plain: VectorSet, **more: Any) -> Self:
        """The vectors of a set, with what else a kind of set needs."""
        return cls(**{field.name: getattr(plain, field.name) for field in fields(VectorSet)}, **more)

    def strategy(self, allowed: Mask | Selection | None = None, k: int = 1) -> Strategy:
        """How `search` would answer: `ann` unless few vectors may answer, or so many hits are wanted."""
        count = self._selection(allowed).count
        return "exact" if count <= _FEW or k > min(_MANY, count // 4) else "ann"
