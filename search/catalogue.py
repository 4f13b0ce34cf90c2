"""The items of an index as search looks them up: by id, by slide, by column."""

import difflib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from threading import Lock
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from encoders.contracts import Modality, Vectors
from indexer.index import Index
from indexer.vectors.selection import Selection
from indexer.vectors.vector_set import VectorSet
from search.errors import ItemMissingError, QueryError
from search.kept_counts import KeptCounts

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


_NO_ROWS: Rows = np.empty(0, dtype=np.int64)
_KEPT_SCOPES = 32
_SHORT_RUN = 16  # rows
_KEPT_ROWS = 256
_KEPT_OWN = 128  # some tens of kilobytes each
#: Names a message about a missing one is chosen from; comparing it with all of a million would take minutes.
_COMPARED_NAMES = 20_000


_BaseKey = tuple[Modality, tuple[str, ...], str | None]
_Kept = TypeVar("_Kept")


class Base(NamedTuple):
    """Items some kinds, a modality and a `where` text allow: over the items, and over the places of the vectors."""

    mask: Mask
    selection: Selection
    key: _BaseKey


class Own:
    """The items of some slides or patients, which answers to what is theirs leave out.

    Attributes
    ----------
    rows : int64 (m,)
        All of their rows, ascending.
    gone : int64 (g,)
        Those that a base allows.
    condition : str
        What no item of theirs meets, in SQL.
    """

    def __init__(self, rows: Rows, base: Base, vectors: VectorSet, condition: str) -> None:
        self.rows = rows
        self.gone = rows[base.mask[rows]]
        self.condition = condition
        self._base, self._vectors = base, vectors

    def others(self, rows: Rows) -> Rows:
        """Those of some rows that are not theirs."""
        if not len(rows) or not len(self.rows):
            return rows
        nearest = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return np.asarray(rows[self.rows[nearest] != rows])

    @cached_property
    def selection(self) -> Selection:
        """What the base allows besides."""
        vectors = self._vectors
        return self._base.selection.without(vectors.places_of(self.gone), vectors.list_places, self.condition)


class _Runs(NamedTuple):
    """Where one value of a text column follows another, as rows come slide by slide.

    Attributes
    ----------
    ends : int64 (n_runs + 1,)
        First row of each run of equal values, and the number of rows.
    order : int64 (n_runs,)
        Runs by their code.
    codes : int32 (n_runs,)
        Code of each of these, ascending.
    """

    ends: Rows
    order: Rows
    codes: npt.NDArray[np.int32]

    @classmethod
    def of(cls, codes: npt.NDArray[np.int32]) -> "_Runs | None":
        """Find the runs; `None` if they are short, so that it is no use to know them."""
        inner = 1 + np.flatnonzero(codes[1:] != codes[:-1])
        if not len(codes) or _SHORT_RUN * len(inner) > len(codes):
            return None
        ends = np.array([0, *inner.tolist(), len(codes)])
        its = codes[ends[:-1]]
        order = np.argsort(its, kind="stable")
        return cls(ends, order, its[order])

    def rows_of(self, code: int) -> Rows:
        """Rows with a code, ascending."""
        first, last = np.searchsorted(self.codes, (code, code + 1))
        its = self.order[first:last].tolist()
        parts = [np.arange(self.ends[one], self.ends[one + 1]) for one in its]
        return parts[0] if len(parts) == 1 else np.concatenate([_NO_ROWS, *parts])


class Catalogue:
    """Metadata of all items, rows numbered as in the index; it is mapped into memory, and so are the vectors."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._columns: dict[str, npt.NDArray[Any]] = {}
        self._codes: dict[str, tuple[npt.NDArray[np.int32], dict[str | None, int]]] = {}
        self._runs_of: dict[str, _Runs | None] = {}
        self._rows_where: OrderedDict[tuple[str, str], Rows] = OrderedDict()
        self._bases: OrderedDict[_BaseKey, Base] = OrderedDict()
        self._own: OrderedDict[tuple[_BaseKey, str, tuple[str, ...]], Own] = OrderedDict()
        self._slide_rows: dict[str, int] = {}
        self._lock = Lock()
        self.counts = KeptCounts(index)

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def table(self) -> pa.Table:
        """Metadata of all items, plain; a copy in memory, so not for large indexes."""
        return self.index.columns.plain()

    def column(self, name: str) -> npt.NDArray[Any]:
        """Values of one column, one per item; nulls are `None` in text and NaN in numbers."""
        if name not in self._columns:
            array = self.index.columns.array(name)
            if pa.types.is_dictionary(array.type):
                values = np.array([*array.dictionary.to_pylist(), None], dtype=object)
                self._columns[name] = values[self.codes(name)[0]]
            else:
                self._columns[name] = array.to_numpy(zero_copy_only=False)
        return self._columns[name]

    def codes(self, name: str) -> tuple[npt.NDArray[np.int32], dict[str | None, int]]:
        """Code of a text column for each item, -1 for null, and the code of each value."""
        if name not in self._codes:
            codes, values = self.index.columns.codes(name)
            self._codes[name] = codes, {value: code for code, value in enumerate(values)}
        return self._codes[name]

    def rows_where(self, name: str, value: str) -> Rows:
        """Rows with a value in a text column, ascending, int64."""
        with self._lock:
            found = self._rows_where.get((name, value))
            if found is None:
                found = self._found_where(name, value)
                _keep(self._rows_where, (name, value), found, _KEPT_ROWS)
            else:
                self._rows_where.move_to_end((name, value))
        return found

    def _found_where(self, name: str, value: str) -> Rows:
        codes, code_of = self.codes(name)
        if value not in code_of:
            return _NO_ROWS
        if name not in self._runs_of:
            self._runs_of[name] = _Runs.of(codes)
        runs = self._runs_of[name]
        return np.flatnonzero(codes == code_of[value]) if runs is None else runs.rows_of(code_of[value])

    def is_one_of(self, name: str, values: Sequence[str]) -> Mask:
        """Which items have one of some values in a text column, bool `(n_items,)`."""
        return self.index.columns.is_one_of(name, values)

    def base(
        self,
        target: Modality,
        kinds: Sequence[str],
        where: str | None,
        allows: Callable[[str], Mask],
    ) -> Base:
        """Items of some kinds with a vector of the target modality that a `where` text allows; the last ones are kept.

        `allows` gives the mask of a text.
        """
        key = (target, tuple(kinds), where)

        def made() -> Base:
            mask = self.is_one_of("kind", kinds) & self.has(target)
            if where is not None:
                mask &= allows(where)
            return Base(mask, self.index.vectors(target).select(mask, _condition(kinds, where)), key)

        return self._kept(self._bases, key, made, _KEPT_SCOPES)

    def own(self, base: Base, what: Literal["slide", "patient"], names: tuple[str, ...]) -> Own:
        """The items of some slides or patients; the last ones are kept, as one slide is asked from again and again."""

        def made() -> Own:
            each = [self.rows_where(what, name) for name in names]
            rows = each[0] if len(each) == 1 else np.unique(np.concatenate(each))
            quoted = ", ".join("'" + name.replace("'", "''") + "'" for name in names)
            condition = f"{what} IS NULL OR {what} NOT IN ({quoted})"
            return Own(rows, base, self.index.vectors(base.key[0]), condition)

        return self._kept(self._own, (base.key, what, names), made, _KEPT_OWN)

    def _kept(self, kept: "OrderedDict[Any, _Kept]", key: Any, made: Callable[[], _Kept], most: int) -> _Kept:
        with self._lock:
            found = kept.get(key)
            if found is not None:
                kept.move_to_end(key)
                return found
        found = made()
        with self._lock:
            _keep(kept, key, found, most)
        return found

    def row_of(self, item: str) -> int:
        """Row of an item id; raises `ItemMissingError` with the closest ids."""
        # An id begins with the name of its slide, which may hold a slash itself.
        ids = self.index.columns.array("id")
        for place, letter in enumerate(item):
            if letter == "/":
                rows = self.rows_where("slide", item[:place])
                found = ids.take(pa.array(rows)).index(item).as_py() if len(rows) else -1
                if found >= 0:
                    return int(rows[found])
        found = ids.index(item).as_py()
        if found < 0:
            raise ItemMissingError(_missing("item", item, ids.slice(0, _COMPARED_NAMES).to_pylist(), len(ids)))
        return int(found)

    def rows_of(self, items: Sequence[str]) -> Rows:
        """Rows of several item ids, int64; raises `ItemMissingError` for the first unknown one."""
        return np.array([self.row_of(item) for item in items], dtype=np.int64)

    def slide_row(self, slide: str) -> int:
        """Row of a slide's own item; raises `ItemMissingError` with the closest names."""
        found = self._slide_rows.get(slide)
        if found is None:
            found = self._slide_rows[slide] = self._found_slide(slide)
        return found

    def _found_slide(self, slide: str) -> int:
        rows = self.rows_where("slide", slide)
        own = rows[np.asarray(self.codes("kind")[0][rows]) == self.codes("kind")[1].get("slide", -2)]
        if not len(own):
            known = [name for name in self.codes("slide")[1] if name is not None]
            raise ItemMissingError(_missing("slide", slide, known, len(known)))
        return int(own[0])

    def value(self, row: int, name: str) -> Any:
        """One cell of the metadata, `None` where it is null."""
        return self.index.columns.values_of(name, np.array([row]))[0]

    def facts(self, row: int) -> dict[str, Any]:
        """All metadata of one item."""
        return {name: array[0].as_py() for name, array in self.index.columns.take(np.array([row])).items()}

    def vector_positions(self, modality: Modality) -> Rows:
        """Place of each item in the vectors of a modality, int64 `(n_items,)`, -1 where it has none."""
        vectors = self.index.vectors(modality)
        positions = np.full(len(self), -1, dtype=np.int64)
        positions[vectors.rows] = np.arange(len(vectors))
        return positions

    def has(self, modality: Modality) -> Mask:
        """Which items have a vector of that modality, bool `(n_items,)`."""
        return self.index.vectors(modality).has_vector

    def modalities_of(self, row: int) -> tuple[Modality, ...]:
        """The sides an item has."""
        sides: tuple[Modality, ...] = ("image", "expression")
        return tuple(side for side in sides if self.index.vectors(side).has_vector[row])

    def vector(self, row: int, modality: Modality) -> Vectors:
        """Unit vector of an item, float32 `(dim,)`; raises `QueryError` if it lacks that side."""
        vectors = self.index.vectors(modality)
        if not vectors.has_vector[row]:
            has = " and ".join(self.modalities_of(row)) or "no vector"
            raise QueryError(
                f"Item {self.value(row, 'id')!r} has no {modality} vector; it has {has}. Ask with a side it has."
            )
        return vectors.vector_of(row)

    def generated_note(self, rows: Rows) -> tuple[str, ...]:
        """A sentence for the user if some of these items are generated, not measured."""
        return note_on_generated(self.index.columns.values_of("generated", rows))


def note_on_generated(values: Sequence[Any] | pa.Array) -> tuple[str, ...]:
    """The same of items whose values of that column are at hand."""
    n = sum(values.to_pylist()) if isinstance(values, pa.Array) else sum(values)
    return (f"{n:,} of {len(values):,} items here are generated data, not measured tissue.",) if n else ()


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    kept[key] = value
    if len(kept) > most:
        kept.popitem(last=False)


def _condition(kinds: Sequence[str], where: str | None) -> str:
    of_kinds = f"kind IN ({', '.join(map(repr, kinds))})"  # their names are known ones, without quotes
    return of_kinds if where is None else f"{of_kinds} AND ({where})"


def _missing(what: str, name: str, known: list[str], n_known: int) -> str:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"close ones: {', '.join(close)}" if close else f"for example {', '.join(known[:3])}"
    if not known:
        hint = "it is empty; ingest something first"
    return f"No {what} {name!r} in this index of {n_known:,}; {hint}."
