"""Products of numbers rounded to bfloat16, by PyTorch, where the processor multiplies them itself.

They are three to five times as fast as whole ones. How far rounding may move them is known: see `least_rounded`.
"""

import ctypes
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from encoders.contracts import Floats, Vectors

#: A number of eight binary digits lies no further from the one it was rounded from than this part of that.
_UNIT = np.float32(2**-8)
_SUMMED = np.float32(2**-23)  # what a sum errs by for each of its terms, those of a product of unit vectors
#: Products that take seconds longer without PyTorch than it takes to import, and that it saves something at all for.
_WORTH_IMPORTING, _WORTH = 10**9, 10**7


@contextmanager
def rounding(n_products: int) -> Iterator[Any]:
    """PyTorch where it is worth its import for so many products, else `None`; its threads are put back after it."""
    if not _is_worth(n_products):
        yield None
        return
    import torch

    before = torch.get_num_threads()
    try:
        yield torch
    finally:
        torch.set_num_threads(before)


def import_ahead(n_products: int) -> None:
    """Begin to import PyTorch beside what comes before so many products, where it is worth it."""
    if "torch" not in sys.modules and _is_worth(n_products):
        threading.Thread(target=import_module, args=("torch",), name="import-torch", daemon=True).start()


def _is_worth(n_products: int) -> bool:
    enough = _WORTH if "torch" in sys.modules else _WORTH_IMPORTING
    return n_products >= enough and multiplies_bfloat16()


def rounding_errors(queries: Vectors, rounded: Vectors) -> Floats:
    """How far a sum of rounded products may lie from the inner product of each query `(q, dim)` with a unit row.

    `<x, q> - <x', q'>` is `<x, q - q'> + <x - x', q'>`: of the queries it is known what rounding took, and of a row it
    took no more than `_UNIT` of its length.
    """
    lost, kept = np.linalg.norm(queries - rounded, axis=1), np.linalg.norm(rounded, axis=1)
    return np.asarray(lost + _UNIT * kept + _SUMMED * np.float32(queries.shape[1]), dtype=np.float32)


def least_rounded(least: Floats, errors: Floats) -> Floats:
    """Numbers of bfloat16 that no rounded product lies below whose true one is `least` or more, float32 `(q,)`.

    Rounding keeps numbers in their order, so what is not below a number of bfloat16 is not rounded to one below it:
    that the result is rounded too takes no more than the next such number down.
    """
    bounds = least - errors
    down = (bounds.view(np.int32) & np.int32(-0x10000)).view(np.float32)  # towards 0
    return np.where(bounds > 0, down, bounds * (1 + 2 * _UNIT))


def writable(chunk: Vectors) -> Vectors:
    """The same memory, said to be writable: PyTorch warns of other, and nothing is written."""
    if chunk.flags.writeable or not chunk.flags.c_contiguous:
        return np.ascontiguousarray(chunk)
    memory: Any = (ctypes.c_float * chunk.size).from_address(chunk.ctypes.data)
    same: Vectors = np.frombuffer(memory, dtype=np.float32).reshape(chunk.shape)
    return same


@cache
def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for products of bfloat16, as far as the system tells."""
    try:
        facts = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return re.search(r"\b(amx_bf16|avx512_bf16)\b", facts) is not None
