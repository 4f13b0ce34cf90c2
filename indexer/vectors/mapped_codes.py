"""Codes of an index's lists in a file of their own, mapped into memory: opened at once, read as they are scanned.

FAISS reads the lists of a fast scan into memory of its own. Its on-disk lists keep the same bytes behind each other in
a file, list by list the blocks of codes and then the row numbers, and a fast scan takes them as well. Pages of the file
are shared by the processes of a machine, and can be evicted.
"""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.vectors.inner_products import faiss_library

CODES_FILE = "codes.bin"
_ALIGNED = 64  # bytes
_ID_BYTES = 8


def can_map(index: Any) -> bool:
    """Whether the lists of a FAISS index are blocks of codes that a map can stand in for."""
    faiss = faiss_library()
    kept = faiss.downcast_InvertedLists(index.invlists)
    if not (hasattr(faiss, "OnDiskInvertedLists") and isinstance(kept, faiss.BlockInvertedLists)):  # Windows has none
        return False
    return int(kept.n_per_block) == index.bbs and int(kept.block_size) == block_bytes(index)


def block_bytes(index: Any) -> int:
    """Bytes of one block of `bbs` codes."""
    return int(index.bbs * index.code_size)


def write_codes(index: Any, index_file: Path, codes_file: Path) -> None:
    """Write an index with empty lists, and its lists beside."""
    faiss = faiss_library()
    kept = faiss.downcast_InvertedLists(index.invlists)
    sizes = np.array([kept.list_size(number) for number in range(kept.nlist)], dtype=np.int64)
    table, _ = _places(index, sizes)
    with codes_file.open("wb") as sink:
        for number, (size, capacity, offset) in enumerate(table.tolist()):
            sink.write(bytes(offset - sink.tell()))
            if size:
                sink.write(faiss.rev_swig_ptr(kept.get_codes(number), capacity * index.code_size).data)
                sink.write(faiss.rev_swig_ptr(kept.get_ids(number), size).data)
    empty = faiss.BlockInvertedLists(kept.nlist, kept.n_per_block, kept.block_size)  # without any FAISS would warn
    index.own_invlists = False
    index.invlists = empty
    try:
        faiss.write_index(index, str(index_file))
    finally:
        index.invlists = kept
        index.own_invlists = True


def map_codes(index: Any, codes_file: Path, sizes: npt.NDArray[np.int64]) -> Any:
    """Give an index its lists of some sizes, mapped; what is returned must live as long as the index.

    Raises
    ------
    ValueError
        If the file is not as long as those lists are.
    RuntimeError
        If it cannot be mapped.
    """
    faiss = faiss_library()
    table, end = _places(index, sizes)
    if codes_file.stat().st_size != end:
        raise ValueError(f"{codes_file.name} has {codes_file.stat().st_size:,} bytes, expected {end:,}")
    mapped = faiss.OnDiskInvertedLists()
    mapped.nlist, mapped.code_size = len(sizes), index.code_size
    mapped.filename, mapped.totsize, mapped.read_only = str(codes_file), end, True
    mapped.prefetch_nthread = 0
    mapped.lists.resize(len(sizes))
    ctypes.memmove(int(mapped.lists.data().this), table.ctypes.data, table.nbytes)
    mapped.do_mmap()
    index.replace_invlists(mapped, False)  # noqa: FBT003  # own, a C++ argument
    return mapped


def _places(index: Any, sizes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint64], int]:
    """Size, capacity and offset of each list, uint64 `(n_lists, 3)`, as FAISS has them, and the end of the last."""
    capacities = -(-sizes // index.bbs) * index.bbs
    lengths = capacities * index.code_size + _ID_BYTES * sizes
    starts = np.cumsum(-(-lengths // _ALIGNED) * _ALIGNED)
    offsets = np.concatenate([[0], starts[:-1]])
    table = np.stack([sizes, capacities, offsets], axis=1).astype(np.uint64)
    filled = np.flatnonzero(lengths)
    end = int(offsets[filled[-1]] + lengths[filled[-1]]) if len(filled) else 0
    return np.ascontiguousarray(table), end
