"""How much of a square is tissue, from a mask of the whole slide."""

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]


def tissue_share(mask: npt.NDArray[np.bool_], centres: Points, side: Points) -> Points:
    """Share of tissue in rectangles of a mask.

    Parameters
    ----------
    mask : bool (height, width)
        From `tissue_mask`.
    centres : float64 (n, 2)
        Centres `(x, y)` in mask pixels.
    side : float64 (2,)
        Width and height of a rectangle in mask pixels.

    Returns
    -------
    float64 (n,)
        In [0, 1], of the part that lies on the mask; 0 for a rectangle beside it.
    """
    sums = np.pad(mask.astype(np.int64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    limit = np.array([mask.shape[1], mask.shape[0]])
    first = np.clip(np.rint(centres - side / 2), 0, limit).astype(np.int64)
    last = np.clip(np.maximum(np.rint(centres + side / 2), first + 1), 0, limit).astype(np.int64)
    (x0, y0), (x1, y1) = first.T, last.T
    tissue = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
    area = (x1 - x0) * (y1 - y0)
    share = np.zeros(len(centres))
    np.divide(tissue, area, out=share, where=area > 0)
    return share
