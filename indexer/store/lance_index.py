"""LanceDB's own index of the vectors: made, asked and looked at. With `indexer.store.tables` all that touches LanceDB.

Vectors lie in inverted lists as RaBitQ codes, or whole where the dimension is too low for codes to order them, in files
beside the table's, on a disk or in a bucket. Columns that filters name have scalar indexes. Rows that came after an
index was made are compared one by one until `index optimize` folds them in.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from encoders.contracts import Modality, Vectors
from indexer.store.tables import Store, reading, writing
from indexer.vectors.ann import RABITQ_MIN_DIM
from indexer.vectors.columns import RowIds

if TYPE_CHECKING:
    from lancedb.table import Table

#: Codes of so many bits a dimension order candidates well enough to compare five times as many as are wanted.
_CODE_BITS, _REFINED = 5, 5
#: LanceDB learns no lists from fewer vectors.
FEWEST_VECTORS = 256
_FEW_VALUES = ("kind", "cohort", "organ", "diagnosis", "technology", "species")
_MANY_VALUES = ("slide", "patient", "label", "total_counts")


@dataclass(frozen=True, slots=True)
class LanceIndex:
    """The index of one modality at the version its table is opened at.

    Attributes
    ----------
    modality : {"image", "expression"}
        Vectors that are searched.
    n_lists : int
        Inverted lists.
    n_indexed, n_beside : int
        Rows of the table in the index, and rows that came after, with or without a vector.
    """

    modality: Modality
    n_lists: int
    n_indexed: int
    n_beside: int
    _table: Callable[[], "Table"]

    def nearest(self, query: Vectors, n: int, *, probes: int, where: str | None) -> tuple[RowIds, Vectors]:
        """Find the rows most like a unit query `(dim,)`: row ids uint64 and vectors float32 `(m, dim)`, best first.

        Parameters
        ----------
        n : int
            Rows wanted; fewer are found only where no more meet the condition.
        probes : int
            Lists to search at least; more until `n` rows are found.
        where : str, optional
            SQL condition the rows must meet.
        """
        column = f"{self.modality}_vector"
        asked: Any = self._table().search(query, vector_column_name=column)  # declared as any kind of query
        asked = asked.distance_type("cosine")
        # Left alone, LanceDB gives up after some lists though a filter has left none of the rows wanted in them.
        asked = asked.minimum_nprobes(probes).maximum_nprobes(0).refine_factor(_REFINED)
        if where is not None:
            asked = asked.where(where, prefilter=True)
        with reading("items"):
            found = asked.select([column, "_rowid", "_distance"]).limit(n).to_arrow()
        vectors = np.asarray(found.column(column).combine_chunks().flatten(), dtype=np.float32)
        return found.column("_rowid").to_numpy(), vectors.reshape(found.num_rows, len(query))


def lance_index(store: Store, modality: Modality) -> LanceIndex | None:
    """Give the index of a modality at the version the store is opened at; `None` if there is none."""
    table = store.table("items")
    with reading("items"):
        for described in table.list_indices():
            named = re.fullmatch(rf"{modality}_vector_ivf(\d+)", described.name)
            stats = table.index_stats(described.name) if named else None
            if named and stats is not None:
                counts = int(stats.num_indexed_rows), int(stats.num_unindexed_rows)
                return LanceIndex(modality, int(named.group(1)), *counts, lambda: store.table("items"))
    return None


def has_lance_index(store: Store) -> bool:
    """Whether there is one of any modality."""
    sides: tuple[Modality, ...] = ("image", "expression")
    return any(lance_index(store, side) is not None for side in sides)


def make_lance_index(store: Store, modality: Modality, n_vectors: int, dim: int) -> bool:
    """Make the index of a modality, in place of one there is, as a new version of the table; raises `WriteError`.

    False if there are too few vectors to learn lists from; they are compared one by one.
    """
    if n_vectors < FEWEST_VECTORS:
        return False
    from lancedb.index import IvfFlat, IvfRq

    n_lists = int(2 ** np.round(np.log2(np.sqrt(n_vectors))))
    config = (
        IvfFlat(distance_type="cosine", num_partitions=n_lists)
        if dim < RABITQ_MIN_DIM
        else IvfRq(distance_type="cosine", num_partitions=n_lists, num_bits=_CODE_BITS)
    )
    table, column = store.table("items"), f"{modality}_vector"
    with writing(f"the index of column {column}"):
        for described in table.list_indices():
            if described.columns == [column]:
                table.drop_index(described.name)
        table.create_index(column, config=config, name=f"{column}_ivf{n_lists}")
    return True


def make_column_indexes(store: Store) -> None:
    """Make scalar indexes of the columns that filters name, where there are none; raises `WriteError`."""
    from lancedb.index import Bitmap, BTree

    table = store.table("items")
    with writing("the indexes of columns"):
        there = {column for described in table.list_indices() for column in described.columns}
        for name in (*_FEW_VALUES, *_MANY_VALUES):
            if name not in there:
                table.create_index(name, config=Bitmap() if name in _FEW_VALUES else BTree())
