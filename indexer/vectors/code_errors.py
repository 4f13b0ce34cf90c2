"""What a RaBitQ code leaves out of its row, from the two numbers that FAISS keeps with each code."""

import numpy as np

from encoders.contracts import Floats
from indexer.vectors.ann import AnnIndex

_CODES_A_BLOCK = 32
_AGREES = 0.02


def code_errors(ann: AnnIndex) -> Floats:
    """Length of what the codes of each list leave out of their rows, the largest of each, float32 `(n_lists,)`.

    A row is its centroid, a residual `r` on it, and the code stands for `m s / sqrt(dim)`, `s` the signs of `r`. FAISS
    keeps `m = |r|^2 sqrt(dim) / <r, s>` and, for unit rows, `|r|^2 - 1`. What the code leaves out is orthogonal to `r`
    and of length `sqrt(m^2 - |r|^2)`.

    Raises
    ------
    ValueError
        If the codes are of another kind, or FAISS does not keep these numbers where it did: the lengths of the
        residuals are held against those measured when the lists were made.
    """
    if ann.kind != "ivf_rabitq":
        raise ValueError(f"lists of the kind {ann.kind} have no codes")
    lists = ann.lists
    squares, multipliers = (np.zeros(len(lists.sizes)) for _ in range(2))
    largest = np.zeros(len(lists.sizes), dtype=np.float32)
    for number, numbers in enumerate(ann.numbers_of_codes()):
        if not len(numbers):
            continue
        residual, multiplier = numbers[:, 0].astype(np.float64) + 1, numbers[:, 1].astype(np.float64)
        squares[number], multipliers[number] = residual.mean(), multiplier.min()
        largest[number] = np.sqrt(np.maximum(multiplier**2 - residual, 0).max())
    there = lists.sizes > 0
    radii = np.sqrt(np.maximum(squares, 0))
    agree = np.abs(radii - lists.radii)[there] <= _AGREES * max(1e-6, float(lists.radii.max()))
    if not (np.isfinite(largest).all() and agree.all() and (multipliers[there] >= 0).all()):
        raise ValueError("FAISS keeps something else with its codes than it did")
    return largest
