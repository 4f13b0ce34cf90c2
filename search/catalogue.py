"""The items of an index as search looks them up: by id, by slide, by column."""

import difflib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from encoders.contracts import Modality, Vectors
from indexer.index import Index
from search.errors import ItemMissingError, QueryError

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Catalogue:
    """Metadata of all items in memory, rows numbered as in the index; vectors and counts stay where they are."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.table: pa.Table = index.metadata()
        self._columns: dict[str, npt.NDArray[Any]] = {}
        self._vector_positions: dict[Modality, Rows] = {}

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> npt.NDArray[Any]:
        """Values of one column, one per item; nulls are `None` in text and NaN in numbers."""
        if name not in self._columns:
            self._columns[name] = self.table.column(name).to_numpy()
        return self._columns[name]

    @cached_property
    def _row_by_id(self) -> dict[str, int]:
        return {item: row for row, item in enumerate(self.column("id").tolist())}

    @cached_property
    def _row_by_slide(self) -> dict[str, int]:
        rows = np.flatnonzero(self.column("kind") == "slide").tolist()
        slides = self.column("slide")
        return {str(slides[row]): row for row in rows}

    def row_of(self, item: str) -> int:
        """Row of an item id; raises `ItemMissingError` with the closest ids."""
        if item not in self._row_by_id:
            raise ItemMissingError(_missing("item", item, list(self._row_by_id)))
        return self._row_by_id[item]

    def rows_of(self, items: Sequence[str]) -> Rows:
        """Rows of several item ids, int64; raises `ItemMissingError` for the first unknown one."""
        return np.array([self.row_of(item) for item in items], dtype=np.int64)

    def slide_row(self, slide: str) -> int:
        """Row of a slide's own item; raises `ItemMissingError` with the closest names."""
        if slide not in self._row_by_slide:
            raise ItemMissingError(_missing("slide", slide, list(self._row_by_slide)))
        return self._row_by_slide[slide]

    def value(self, row: int, name: str) -> Any:
        """One cell of the metadata, `None` where it is null."""
        return self.table.column(name)[row].as_py()

    def vector_positions(self, modality: Modality) -> Rows:
        """Place of each item in the vectors of a modality, int64 `(n_items,)`, -1 where it has none."""
        if modality not in self._vector_positions:
            rows = self.index.vectors(modality).rows
            positions = np.full(len(self), -1, dtype=np.int64)
            positions[rows] = np.arange(len(rows))
            self._vector_positions[modality] = positions
        return self._vector_positions[modality]

    def has(self, modality: Modality) -> Mask:
        """Which items have a vector of that modality, bool `(n_items,)`."""
        return self.vector_positions(modality) >= 0

    def modalities_of(self, row: int) -> tuple[Modality, ...]:
        """The sides an item has."""
        sides: tuple[Modality, ...] = ("image", "expression")
        return tuple(side for side in sides if self.vector_positions(side)[row] >= 0)

    def vector(self, row: int, modality: Modality) -> Vectors:
        """Unit vector of an item, float32 `(dim,)`; raises `QueryError` if it lacks that side."""
        position = int(self.vector_positions(modality)[row])
        if position < 0:
            has = " and ".join(self.modalities_of(row)) or "no vector"
            raise QueryError(
                f"Item {self.value(row, 'id')!r} has no {modality} vector; it has {has}. Ask with a side it has."
            )
        return np.asarray(self.index.vectors(modality).vectors[position], dtype=np.float32)

    def generated_note(self, rows: Rows) -> tuple[str, ...]:
        """A sentence for the user if some of these items are generated, not measured."""
        n = int(self.column("generated")[rows].sum())
        return (f"{n:,} of {len(rows):,} items here are generated data, not measured tissue.",) if n else ()


def _missing(what: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"close ones: {', '.join(close)}" if close else f"for example {', '.join(known[:3])}"
    if not known:
        hint = "it is empty; ingest something first"
    return f"No {what} {name!r} in this index of {len(known):,}; {hint}."
