"""Cells of a registered picture: those that it does not show are left out, and that is said."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from indexer.readers.measured import Measured

_MAX_OUTSIDE = 0.5  # share beyond which the registration, not the crop, is to blame: the build refuses the slide


def within_picture(found: Measured, size_px: tuple[int, int]) -> Measured:
    """Rows on a picture of `(width, height)` pixels; all of them if most lie outside.

    A picture registered to cells of another instrument seldom shows the same area.
    """
    if found.xy_px is None:
        return found
    inside = np.logical_and(found.xy_px >= 0, found.xy_px < np.asarray(size_px))
    rows = [int(row) for row in np.flatnonzero(inside.all(axis=1))]
    n_outside = len(found.names) - len(rows)
    if not n_outside or n_outside > _MAX_OUTSIDE * len(found.names):
        return found
    return replace(
        found,
        names=tuple(found.names[row] for row in rows),
        counts=sp.csr_matrix(found.counts[rows]),
        xy_px=found.xy_px[rows],
        labels=None if found.labels is None else tuple(found.labels[row] for row in rows),
        remarks=(
            *found.remarks,
            f"{n_outside:,} of {len(found.names):,} cells lie outside its picture and are left out",
        ),
    )
