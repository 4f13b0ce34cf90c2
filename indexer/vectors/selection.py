"""Which vectors may answer a query, in the forms the different ways of searching need."""

from functools import cached_property
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Packed = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]
_NUMBERS_OF_16_BITS = 2**16
_MANY_LISTS = 64
_KEPT_PARAMETERS = 16  # of searches of up to so many lists


class OpenLists(NamedTuple):
    """Inverted lists that hold an allowed vector.

    Attributes
    ----------
    allowed : int64 (n_lists,)
        Allowed vectors of each list.
    is_open : bool (n_lists,)
        Whether there is one.
    n_open : int
        Of how many lists that is so.
    closed : int64 (n_lists - n_open,)
        The other lists.
    """

    allowed: Counts
    is_open: Mask
    n_open: int
    closed: Rows

    @classmethod
    def of(cls, allowed: Counts) -> "OpenLists":
        """Tell which lists hold one."""
        is_open = allowed > 0
        closed = np.flatnonzero(~is_open)
        return cls(allowed, is_open, len(allowed) - len(closed), closed)


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
        self.size = len(mask)
        self._given = mask
        self.where = where
        self._counts: Counts | None = None
        self._open: OpenLists | None = None
        self._by_list: tuple[Rows, list[int]] | None = None
        self._head: Selection | None = None
        self._parameters: dict[int, Any] = {}

    @cached_property
    def mask(self) -> Mask:
        """True where a vector may answer, bool `(size,)`."""
        return self._given

    @cached_property
    def count(self) -> int:
        """Vectors that may answer."""
        return int(np.count_nonzero(self.mask))

    @cached_property
    def is_all(self) -> bool:
        """Whether every vector may answer."""
        return self.count == self.size

    @cached_property
    def places(self) -> Rows:
        """Places that may answer, ascending, int64."""
        return np.flatnonzero(self.mask)

    @cached_property
    def packed(self) -> Packed:
        """The mask as bits, lowest first, as FAISS's bitmap selector reads it."""
        return np.packbits(self.mask, bitorder="little")

    @cached_property
    def selector(self) -> Any:
        """FAISS's bitmap selector over `packed`; `None` if every vector may answer."""
        if self.is_all:
            return None
        return _faiss().IDSelectorBitmap(self.packed)  # it reads `packed` in place, which lives as long as this

    def ready(self) -> None:
        """Make what a scan needs before several threads ask for it at once."""
        _ = self.selector

    def parameters(self, n_lists: int) -> Any:
        """FAISS's parameters of a search of so many inverted lists; it only reads them, so threads may share them."""
        found = self._parameters.get(n_lists)
        if found is None:
            found = _faiss().SearchParametersIVF()
            found.nprobe = n_lists
            if self.selector is not None:
                found.sel = self.selector
            if n_lists <= _KEPT_PARAMETERS:
                self._parameters[n_lists] = found
        return found

    def head(self, n: int) -> "Selection":
        """The same over the first `n` places alone."""
        if n == self.size:
            return self
        if self._head is None or self._head.size != n:
            self._head = Selection(self.mask[:n], self.where)
        return self._head

    def after(self, n: int) -> Rows:
        """Allowed places from `n` on, ascending, int64."""
        return n + np.flatnonzero(self.mask[n:])

    def list_counts(self, list_of: npt.NDArray[np.integer], sizes: Counts) -> Counts:
        """Allowed vectors of each inverted list, int64 `(n_lists,)`; of which list each place is, and their sizes."""
        if self._counts is None:
            mask = self.mask[: len(list_of)]
            if 2 * self.count > self.size:  # those left out are fewer
                left_out = list_of[np.flatnonzero(~mask)]
                self._counts = sizes - np.bincount(left_out, minlength=len(sizes)) if len(left_out) else sizes
            else:
                self._counts = np.bincount(list_of[mask], minlength=len(sizes))
        return self._counts

    def open_lists(self, list_of: npt.NDArray[np.integer], sizes: Counts) -> OpenLists:
        """Which inverted lists hold an allowed vector; arguments as in `list_counts`."""
        if self._open is None:
            self._open = OpenLists.of(sizes if self.is_all else self.list_counts(list_of, sizes))
        return self._open

    def in_lists(self, lists: Rows, list_of: npt.NDArray[np.integer], sizes: Counts) -> Rows:
        """Allowed places in some inverted lists, int64, list by list; other arguments as in `list_counts`."""
        if self._by_list is None:
            its = self.places if len(list_of) == self.size else self.head(len(list_of)).places
            # Numbers of 16 bits are sorted in linear time.
            numbers = list_of[its].astype(np.uint16 if len(sizes) <= _NUMBERS_OF_16_BITS else np.int32)
            ends = np.cumsum(self.list_counts(list_of, sizes))
            self._by_list = its[np.argsort(numbers, kind="stable")], [0, *ends.tolist()]
        places, ends_of = self._by_list
        if len(lists) > _MANY_LISTS:
            wanted = np.zeros(len(sizes), dtype=np.bool_)
            wanted[lists] = True
            return places[np.repeat(wanted, np.diff(ends_of))]
        return np.concatenate([places[ends_of[one] : ends_of[one + 1]] for one in lists.tolist()])

    def without(
        self, places: Rows, lists: tuple[npt.NDArray[np.integer], Counts] | None = None, where: str | None = None
    ) -> "Selection":
        """The same without some places; what the lists need is mended, not made again.

        Parameters
        ----------
        places : int64 (m,)
            Places, ascending.
        lists : (integer (n,), int64 (n_lists,)), optional
            List of each place, and the sizes of the lists.
        where : str, optional
            SQL condition that all that are left meet besides.
        """
        gone = places[self.mask[places]]
        return _Without(self, gone, lists, where) if len(gone) else self

    @property
    def whole(self) -> "Selection":
        """The selection this was taken from by leaving out some places; itself if there is none."""
        return self

    def n_gone(self, lists: Rows) -> int:  # noqa: ARG002  # nothing is
        """How many places of `whole` in some inverted lists were left out."""
        return 0

    def is_gone(self, places: Rows) -> Mask:
        """Which of some places were left out of `whole`, bool like them."""
        return np.zeros(len(places), dtype=np.bool_)


class _Without(Selection):
    """A selection less some of its places; its mask is made only if it is asked for."""

    def __init__(
        self,
        whole: Selection,
        gone: Rows,
        lists: tuple[npt.NDArray[np.integer], Counts] | None = None,
        where: str | None = None,
    ) -> None:
        self.size, self.count = whole.size, whole.count - len(gone)
        self.where = f"({whole.where}) AND ({where})" if whole.where and where else whole.where or where
        self._whole, self._gone = whole, gone
        self._head = None
        self._counts = None
        self._open = None
        self._gone_counts: Counts | None = None
        self._by_list = None
        self._parameters = {}
        if lists is not None:
            list_of, sizes = lists
            inside = gone[: np.searchsorted(gone, len(list_of))]
            self._gone_counts = np.bincount(list_of[inside], minlength=len(sizes))
            self._counts = whole.list_counts(list_of, sizes) - self._gone_counts

    def head(self, n: int) -> Selection:
        """The same over the first `n` places alone."""
        if n == self.size:
            return self
        if self._head is None or self._head.size != n:
            self._head = whole = self._whole.head(n)
            inside = self._gone[: np.searchsorted(self._gone, n)]
            if len(inside):
                self._head = head = _Without(whole, inside)
                head._counts, head._gone_counts = self._counts, self._gone_counts
        return self._head

    def after(self, n: int) -> Rows:
        """Allowed places from `n` on, ascending, int64."""
        places = self._whole.after(n)
        return places[~self.is_gone(places)]

    @property
    def whole(self) -> Selection:
        """The selection this was taken from."""
        return self if self._gone_counts is None else self._whole

    def n_gone(self, lists: Rows) -> int:
        """How many places of `whole` in some inverted lists were left out."""
        return 0 if self._gone_counts is None else int(self._gone_counts[lists].sum())

    def is_gone(self, places: Rows) -> Mask:
        """Which of some places were left out of `whole`, bool like them."""
        if self._gone[-1] - self._gone[0] == len(self._gone) - 1:  # rows in a row, as those of a slide are
            return np.asarray((places >= self._gone[0]) & (places <= self._gone[-1]))
        nearest = np.minimum(np.searchsorted(self._gone, places), len(self._gone) - 1)
        return np.asarray(self._gone[nearest] == places)

    @cached_property
    def mask(self) -> Mask:
        """True where a vector may answer, bool `(size,)`."""
        mask = self._whole.mask.copy()
        mask[self._gone] = False
        return mask

    @cached_property
    def packed(self) -> Packed:
        """The mask as bits."""
        return _cleared(self._whole.packed, self._gone)

    def in_lists(self, lists: Rows, list_of: npt.NDArray[np.integer], sizes: Counts) -> Rows:
        """As of the whole, less those that are gone."""
        places = self._whole.in_lists(lists, list_of, sizes)
        return np.asarray(places[(self.packed[places >> 3] >> (places & 7) & 1).astype(np.bool_)])


def _cleared(packed: Packed, places: Rows) -> Packed:
    """Bits without those of some places, which ascend."""
    bits = packed.copy()
    first, last = int(places[0]), int(places[-1])
    if last - first == len(places) - 1:  # rows in a row, as those of a slide are
        start, stop = first >> 3, (last >> 3) + 1
        kept = np.ones(8 * (stop - start), dtype=np.bool_)
        kept[first - 8 * start : last + 1 - 8 * start] = False
        bits[start:stop] &= np.packbits(kept, bitorder="little")
        return bits
    octets, within = places >> 3, places & 7
    for bit in range(8):  # one bit after the other: no octet comes twice
        bits[octets[within == bit]] &= np.uint8(0xFF ^ (1 << bit))
    return bits


def _faiss() -> Any:
    return import_module("faiss")  # Any, because its stubs describe the C++ constructors
