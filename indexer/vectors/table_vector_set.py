"""Searching vectors that are read from the table: comparing them one by one is dear, so the lists decide sooner."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np

from encoders.contracts import Floats, Vectors
from indexer.errors import StoreError
from indexer.vectors.ann import is_small
from indexer.vectors.found import Neighbours, Strategy
from indexer.vectors.probing import Prober, Trace
from indexer.vectors.selection import Mask, Rows, Selection
from indexer.vectors.vector_set import VectorSet

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

    def _nearest_many(
        self, queries: Vectors, k: int, selection: Selection, gone: Sequence[Rows] | None, *, exact: bool
    ) -> Neighbours:
        # What many queries gain together is that rows read once serve them all, and here rows are not at hand.
        return self._one_by_one(queries, k, selection, gone, exact=exact)

    @cached_property
    def _prober(self) -> Prober:
        if self.evidence is None:
            raise StoreError(f"The {self.modality} vectors have no lists to search.")
        return _NarrowProber(self.ann, self.base, self.evidence, self._radii)


class _NarrowProber(Prober):
    """Scans every list that holds an allowed row where so few are allowed that others would compare them all.

    What is known of when a search may stop was measured with more rows than that.
    """

    def search(
        self, query: Vectors, k: int, selection: Selection, floor: float = -np.inf
    ) -> tuple[Rows, Floats, Trace]:
        """As `Prober.search`."""
        if is_small(selection.count, self.ann.dim):
            return _EveryList(self.ann, self.vectors, self.evidence, self.radii).search(query, k, selection, floor)
        return super().search(query, k, selection, floor)


class _EveryList(Prober):
    def first_lists(self, n_open: int) -> int:
        return n_open
