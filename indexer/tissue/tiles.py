"""A grid of tiles over the tissue of a slide, and their pixels in batches."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from indexer.errors import SlideError
from indexer.slides import Pixels, SlideImage
from indexer.tissue.mask import tissue_mask

Points = npt.NDArray[np.float64]

MIN_TISSUE = 0.5  # share of a tile's square that must be tissue
_MASK_PX = 1_024  # longer side of the thumbnail the tissue is found on


def tissue_grid(image: SlideImage, mpp: float, side_um: float, stride_um: float) -> Points:
    """Centres of the tiles that hold tissue, row by row.

    Parameters
    ----------
    image : SlideImage
        The slide.
    mpp : float
        Micrometres per level-0 pixel.
    side_um : float
        Side of a tile.
    stride_um : float
        Distance of neighbouring centres.

    Returns
    -------
    float64 (n, 2)
        Centres `(x, y)` in level-0 pixels, of tiles that lie wholly on the slide and of whose square at least half is
        tissue; `(0, 2)` for a slide without tissue.

    Raises
    ------
    SlideError
        If a length is not positive, or the image cannot be read.
    """
    for name, value in (("mpp", mpp), ("side_um", side_um), ("stride_um", stride_um)):
        if not value > 0:
            raise SlideError(f"Got {name} {value}; expected a positive length in micrometres.")
    side_px, stride_px = side_um / mpp, stride_um / mpp
    width, height = image.size_px
    x, y = _axis(width, side_px, stride_px), _axis(height, side_px, stride_px)
    if not x.size or not y.size:
        return np.empty((0, 2))
    mask = tissue_mask(image.thumbnail(_MASK_PX))
    centres = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    scale = np.array([mask.shape[1] / width, mask.shape[0] / height])
    return centres[tissue_share(mask, centres * scale, side_px * scale) >= MIN_TISSUE]


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


def read_patches(image: SlideImage, xy_px: Points, *, side_px: float, out_px: int, batch: int = 64) -> Iterator[Pixels]:
    """Squares round points, a batch at a time.

    Parameters
    ----------
    image : SlideImage
        The slide.
    xy_px : float64 (n, 2)
        Centres, level-0 pixels.
    side_px : float
        Side in level-0 pixels.
    out_px : int
        Side in pixels after resampling.
    batch : int
        Most patches at once.

    Yields
    ------
    uint8 (at most batch, out_px, out_px, 3)
        RGB patches in the order of `xy_px`.
    """
    for start in range(0, len(xy_px), batch):
        some = xy_px[start : start + batch]
        yield np.stack([image.read(float(x), float(y), side_px, out_px) for x, y in some])


def _axis(length_px: int, side_px: float, stride_px: float) -> Points:
    """Centres along one axis: as many whole tiles as fit, in the middle of what is left over."""
    n = int(np.floor((length_px - side_px) / stride_px + 1e-9)) + 1
    if n < 1:
        return np.empty(0)
    margin = (length_px - (side_px + (n - 1) * stride_px)) / 2
    return margin + side_px / 2 + np.arange(n, dtype=np.float64) * stride_px
