"""Which vectors may answer a query, in the forms the different ways of searching need."""

from copy import copy
from functools import cached_property

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Packed = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]


class Selection:
    """Allowed places of a `VectorSet`; immutable, so that one may be kept and used by many queries.

    Parameters
    ----------
    mask : bool (n_vectors,)
        True where a vector may answer.
    where : str, optional
        SQL condition on the items that allows at least all of them, for vectors that are searched by another engine.
    """

    def __init__(self, mask: Mask, where: str | None = None) -> None:
        self.mask = mask
        self.where = where
        self._counts: Counts | None = None

    @cached_property
    def count(self) -> int:
        """Vectors that may answer."""
        return int(np.count_nonzero(self.mask))

    @cached_property
    def is_all(self) -> bool:
        """Whether every vector may answer."""
        return self.count == len(self.mask)

    @cached_property
    def places(self) -> Rows:
        """Places that may answer, ascending, int64."""
        return np.flatnonzero(self.mask)

    @cached_property
    def packed(self) -> Packed:
        """The mask as bits, lowest first, as FAISS's bitmap selector reads it."""
        return np.packbits(self.mask, bitorder="little")

    def list_counts(self, list_of: npt.NDArray[np.integer], n_lists: int) -> Counts:
        """Allowed vectors of each inverted list, int64 `(n_lists,)`; `list_of` is the list of each place."""
        if self._counts is None:
            of_allowed = list_of if self.is_all else list_of[self.mask[: len(list_of)]]
            self._counts = np.bincount(of_allowed, minlength=n_lists)
        return self._counts

    def also_where(self, condition: str) -> "Selection":
        """The same, told with one more condition that all of them meet."""
        same = copy(self)
        same.where = condition if self.where is None else f"({self.where}) AND ({condition})"
        return same

    def without(self, places: Rows, list_of: npt.NDArray[np.integer] | None = None) -> "Selection":
        """The same without some places; what is already counted and packed is mended, not made again."""
        gone = places[self.mask[places]]
        mask = self.mask.copy()
        mask[gone] = False
        less = Selection(mask, self.where)
        less.count = self.count - len(gone)
        if "packed" in self.__dict__ and len(gone):
            packed = self.packed.copy()
            first, last = int(gone.min()) >> 3, (int(gone.max()) >> 3) + 1
            packed[first:last] = np.packbits(mask[8 * first : 8 * last], bitorder="little")
            less.packed = packed
        if self._counts is not None and list_of is not None:
            inside = gone[gone < len(list_of)]
            less._counts = self._counts - np.bincount(list_of[inside], minlength=len(self._counts))
        return less
