"""RaBitQ codes of many rows at once, in the blocks that FAISS scans.

FAISS codes a row bit by bit, and turns codes into blocks bit by bit again. NumPy does both to thousands of rows at a
time, several times as fast. What is made is FAISS's own format, which may change with its version, so both are tried on
a few rows before, and where they differ FAISS codes all rows.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors
from indexer.vectors.inner_products import faiss_library
from indexer.vectors.lists import ListNumbers
from indexer.vectors.threads import n_cores

_LOG = logging.getLogger(__name__)
Bytes = npt.NDArray[np.uint8]
_ROWS_AT_ONCE = 512  # with what is left of them, in a core's cache
_ADDED_AT_ONCE = 65_536
_BLOCK = 32
_FEW, _ROUNDING = 40, 1e-4
_SMALLEST = float(np.finfo(np.float32).eps)
#: FAISS keeps the codes of rows 0, 8, 1, 9 ... of a block side by side, and in the upper half those 16 rows on.
_ORDER = np.arange(16).reshape(2, 8).T.ravel()


#: An index, squared distances of the rows from their centroids `(n,)`, and what must live as long as the index.
Coded = tuple[Any, Floats, tuple[Any, ...]]


def code_index(vectors: Vectors, centroids: Vectors, list_of: ListNumbers) -> Coded:
    """A FAISS index of the codes of rows `(n, dim)` that lie in lists around centroids `(l, dim)`."""
    if not codes_like_faiss(vectors, centroids, list_of):
        if vectors.shape[1] % 8 == 0:  # of other dims none are made here, which is nothing new
            _LOG.warning("FAISS %s codes other than it is known to; it codes by itself.", faiss_library().__version__)
        index, owned = faiss_index(vectors, centroids, list_of)
        return index, _squares(vectors, centroids, list_of), owned
    codes = encode(vectors, centroids, list_of)
    index, owned = fast_scan_index(centroids, list_of, codes)
    return index, codes.squares, owned


def whole_index(vectors: Vectors, centroids: Vectors, list_of: ListNumbers) -> Coded:
    """A FAISS index of whole rows in lists."""
    faiss = faiss_library()
    quantizer = faiss.IndexFlatIP(vectors.shape[1])
    quantizer.add(centroids)
    index = faiss.IndexIVFFlat(quantizer, vectors.shape[1], len(centroids), faiss.METRIC_INNER_PRODUCT)
    index.train(centroids)  # nothing is left to learn but this sets it ready
    _add(index, vectors, list_of)
    return index, _squares(vectors, centroids, list_of), (quantizer,)


class Codes(NamedTuple):
    """Codes of rows.

    Attributes
    ----------
    bits : uint8 (n, dim / 8)
        Whether a row lies above its centroid, a bit a dimension.
    numbers : float32 (n, 2)
        The two numbers that FAISS keeps with a code.
    squares : float32 (n,)
        Squared distance of each row from its centroid.
    """

    bits: Bytes
    numbers: Floats
    squares: Floats


def encode(vectors: Vectors, centroids: Vectors, list_of: ListNumbers) -> Codes:
    """Code the rows of a matrix `(n, dim)`, on all cores; `dim` is a multiple of 8.

    Gao & Long, SIGMOD 2024, without their rotation; the numbers are what FAISS makes of the length of what a row is
    away from its centroid, of the code's share of it, and, as scores are inner products, of the length of the row.
    """
    n, dim = vectors.shape
    codes = Codes(np.empty((n, dim // 8), np.uint8), np.empty((n, 2), np.float32), np.empty(n, np.float32))

    def code(start: int, stop: int) -> None:
        left = np.empty((_ROWS_AT_ONCE, dim), np.float32)
        for first in range(start, stop, _ROWS_AT_ONCE):
            part = slice(first, min(first + _ROWS_AT_ONCE, stop))
            rows = np.asarray(vectors[part])
            its = left[: len(rows)]
            np.take(centroids, list_of[part], axis=0, out=its, mode="clip")  # other modes make a copy
            np.subtract(rows, its, out=its)
            codes.bits[part] = np.packbits(its > 0, axis=1, bitorder="little")
            squares = np.einsum("ij,ij->i", its, its)
            share = np.abs(its, out=its).sum(axis=1)
            codes.squares[part] = squares
            codes.numbers[part, 0] = squares - np.einsum("ij,ij->i", rows, rows)
            codes.numbers[part, 1] = _multiplier(squares, share, dim)

    _in_parts(code, n)
    return codes


def fast_scan_index(centroids: Vectors, list_of: ListNumbers, codes: Codes) -> tuple[Any, tuple[Any, ...]]:
    """A FAISS index of codes, and the objects that must live as long as it does."""
    faiss = faiss_library()
    quantizer, coder = _coder(centroids)
    index = faiss.IndexIVFRaBitQFastScan(coder)
    kept = faiss.downcast_InvertedLists(index.invlists)
    order = np.argsort(list_of, kind="stable")
    sizes = np.bincount(list_of, minlength=len(centroids))
    ends = np.cumsum(sizes)

    def put(start: int, stop: int) -> None:
        for number in range(start, stop):
            if not sizes[number]:
                continue
            rows = order[ends[number] - sizes[number] : ends[number]]
            blocks = _blocks(codes.bits[rows], codes.numbers[rows])
            faiss.rev_swig_ptr(kept.get_codes(number), blocks.size)[:] = blocks.ravel()
            faiss.rev_swig_ptr(kept.get_ids(number), len(rows))[:] = rows

    for number, size in enumerate(sizes.tolist()):
        kept.resize(number, size)
    _in_parts(put, len(sizes))
    index.ntotal = len(list_of)
    return index, (quantizer, coder)


def faiss_index(vectors: Vectors, centroids: Vectors, list_of: ListNumbers) -> tuple[Any, tuple[Any, ...]]:
    """The same index, coded by FAISS."""
    quantizer, coder = _coder(centroids)
    _add(coder, vectors, list_of)
    return faiss_library().IndexIVFRaBitQFastScan(coder), (quantizer, coder)


def codes_like_faiss(vectors: Vectors, centroids: Vectors, list_of: ListNumbers) -> bool:
    """Whether the codes made here are those of this FAISS, tried on the first rows."""
    if vectors.shape[1] % 8:
        return False
    numbers, places = np.unique(list_of[:_FEW], return_inverse=True)
    some, its = np.ascontiguousarray(vectors[:_FEW]), np.asarray(places, dtype=np.int32)
    of_some = np.ascontiguousarray(centroids[numbers])
    try:
        ours = fast_scan_index(of_some, its, encode(some, of_some, its))
        theirs = faiss_index(some, of_some, its)
        return all(_are_alike(ours[0], theirs[0], number) for number in range(len(numbers)))
    except (AttributeError, ValueError, TypeError):  # another version has other parts
        return False


def _are_alike(ours: Any, theirs: Any, number: int) -> bool:
    """Whether a list of two indexes holds the same rows and codes."""
    faiss = faiss_library()
    parts, n_bits = [], _BLOCK * ours.d // 8
    for index in (ours, theirs):
        kept = faiss.downcast_InvertedLists(index.invlists)
        size = kept.list_size(number)
        blocks = faiss.rev_swig_ptr(kept.get_codes(number), -(-size // _BLOCK) * kept.block_size)
        blocks = blocks.reshape(-1, kept.block_size)
        numbers = np.ascontiguousarray(blocks[:, n_bits:]).view(np.float32).reshape(-1, 2)[:size]
        parts.append((faiss.rev_swig_ptr(kept.get_ids(number), size), blocks[:, :n_bits], numbers))
    (ids, bits, numbers), (their_ids, their_bits, their_numbers) = parts
    same = np.array_equal(ids, their_ids) and np.array_equal(bits, their_bits)
    return same and np.allclose(numbers, their_numbers, rtol=_ROUNDING, atol=_ROUNDING)


def _multiplier(squares: Floats, share: Floats, dim: int) -> Floats:
    lengths = np.sqrt(squares)
    shares = share / np.where(squares > _SMALLEST, lengths, 1) / np.float32(np.sqrt(dim))
    return np.asarray(lengths / np.where(shares > _SMALLEST, shares, 1))


def _blocks(bits: Bytes, numbers: Floats) -> Bytes:
    """Codes of one list as FAISS scans them, 32 at a time: half a byte of each, dimension after dimension."""
    size, width = bits.shape
    n_blocks = -(-size // _BLOCK)
    padded = np.zeros((n_blocks * _BLOCK, width), np.uint8)
    padded[:size] = bits
    first, second = np.moveaxis(padded.reshape(n_blocks, 2, 16, width)[:, :, _ORDER].transpose(1, 0, 3, 2), 0, 0)
    found = np.zeros((n_blocks, _BLOCK * (width + 8)), np.uint8)
    halves = found[:, : _BLOCK * width].reshape(n_blocks, width, 2, 16)
    halves[:, :, 0] = (first & 15) | (second << 4)
    halves[:, :, 1] = (first >> 4) | (second & 240)
    kept = np.zeros((n_blocks * _BLOCK, 2), np.float32)
    kept[:size] = numbers
    found[:, _BLOCK * width :] = kept.view(np.uint8).reshape(n_blocks, -1)
    return found


def _add(index: Any, vectors: Vectors, list_of: ListNumbers) -> None:
    pointer = faiss_library().swig_ptr
    for start in range(0, len(vectors), _ADDED_AT_ONCE):
        rows = np.ascontiguousarray(vectors[start : start + _ADDED_AT_ONCE])
        its = list_of[start : start + len(rows)].astype(np.int64)
        index.add_core(len(rows), pointer(rows), None, pointer(its))


def _squares(vectors: Vectors, centroids: Vectors, list_of: ListNumbers) -> Floats:
    found = np.empty(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        left = vectors[part] - centroids[list_of[part]]
        found[part] = np.einsum("ij,ij->i", left, left)
    return found


def _coder(centroids: Vectors) -> tuple[Any, Any]:
    """An empty index of codes, and what finds its lists."""
    faiss = faiss_library()
    quantizer = faiss.IndexFlatIP(centroids.shape[1])
    quantizer.add(centroids)
    coder = faiss.IndexIVFRaBitQ(quantizer, centroids.shape[1], len(centroids), faiss.METRIC_INNER_PRODUCT)
    coder.train(centroids)  # nothing is left to learn but this sets it ready
    return quantizer, coder


def _in_parts(task: Callable[[int, int], None], n: int) -> None:
    ends = np.linspace(0, n, n_cores() + 1).astype(int).tolist()
    with ThreadPoolExecutor(n_cores()) as pool:
        list(pool.map(task, ends[:-1], ends[1:]))
