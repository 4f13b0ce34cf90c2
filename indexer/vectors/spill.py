"""Vectors kept on the disk while they are committed, so that the first sidecar is not read back from the table."""

import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from encoders.contracts import Modality, Vectors
from indexer.vectors.lists import n_lists_for
from indexer.vectors.rounded import import_ahead

_LOG = logging.getLogger(__name__)

Places = npt.NDArray[np.int64]
_MODALITIES: tuple[Modality, ...] = ("image", "expression")


class Spill:
    """Vectors of all rows of a new index, in the order of their commits.

    It only saves time: `take` gives nothing unless the table holds just these rows in this order, and what cannot be
    written is read from the table as ever.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self._dim = dim
        self._ids: list[pa.Array] = []
        self._n = 0
        self._places: dict[Modality, list[Places]] = {side: [] for side in _MODALITIES}
        self._files = {side: folder / f"{side}.npy" for side in _MODALITIES}
        self._is_whole = True

    def add(self, rows: Sequence[pa.Table]) -> None:
        """Put the vectors of rows behind the others; more than one call at a time is one too many."""
        if not self._is_whole:
            return
        try:
            for side, file in self._files.items():
                with file.open("ab") as sink:
                    self._add(side, sink, rows)
        except OSError as error:
            self._is_whole = False
            _LOG.warning("Vectors could not be kept aside (%s); they are read from the table.", error)
            for file in self._files.values():
                file.unlink(missing_ok=True)
        self._ids += [chunk for part in rows for chunk in part.column("id").chunks]
        self._n += sum(part.num_rows for part in rows)
        import_ahead(self._n * n_lists_for(self._n))  # for the lists, while the table is still written

    def take(self, modality: Modality, ids: pa.ChunkedArray, file: Path) -> Places | None:
        """Move the vectors of a modality into a NumPy file, and give the row each is of; `None` if they do not fit.

        Parameters
        ----------
        modality : {"image", "expression"}
            Which vectors; they can be taken once.
        ids : pyarrow.ChunkedArray
            Id of each item of the table, in order.
        file : Path
            Where the vectors go, on the same disk.
        """
        kept = self._files[modality]
        if not self._is_whole or not kept.exists() or not pa.chunked_array(self._ids, pa.string()).equals(ids):
            return None
        places = np.concatenate([np.empty(0, np.int64), *self._places[modality]])
        with kept.open("r+b") as sink:
            write_head(sink, len(places), self._dim)
        kept.rename(file)
        return places

    def _add(self, side: Modality, sink: BinaryIO, rows: Sequence[pa.Table]) -> None:
        if not sink.tell():
            write_head(sink, 0, self._dim)
        start = self._n
        for part in rows:
            for chunk in part.column(f"{side}_vector").chunks:
                there = np.asarray(chunk.is_valid())
                if chunk.null_count < len(chunk):
                    sink.write(np.ascontiguousarray(chunk.flatten()).data)  # leaves nulls out
                    self._places[side].append(start + np.flatnonzero(there))
                start += len(chunk)


@contextmanager
def spilling(folder: Path, dim: int) -> Iterator[Spill | None]:
    """Keep vectors of dimension `dim` aside in a folder until the block ends; `None` if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=folder))
    except OSError as error:
        _LOG.warning("Vectors cannot be kept aside (%s); they are read from the table.", error)
        yield None
        return
    try:
        yield Spill(aside, dim)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_head(sink: BinaryIO, n_rows: int, dim: int) -> None:
    """Write the head of a NumPy file of float32 `(n_rows, dim)` where the file stands.

    NumPy leaves room for the number of rows to grow, so that another head may take its place later.
    """
    np.lib.format.write_array_header_1_0(sink, {"descr": "<f4", "fortran_order": False, "shape": (n_rows, dim)})


def mapped(file: Path, n_rows: int) -> Vectors:
    """The vectors of such a file, mapped."""
    found: Vectors = np.load(file, mmap_mode="r" if n_rows else None)  # the system maps no empty array
    return found
