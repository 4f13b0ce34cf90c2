"""A grid of tiles over the tissue of a slide, or over the regions drawn on it, and their pixels in batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from indexer.errors import SlideError
from indexer.slides import Pixels, SlideImage
from indexer.tissue.mask import tissue_mask
from indexer.tissue.regions import Regions, check_regions, region_names, region_shares
from indexer.tissue.shares import tissue_share

Points = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

MIN_TISSUE = 0.5  # share of a tile's square that must be tissue
_BAND_SIDES = 8  # width of a band that is read from top to bottom, in sides of a patch
_MASK_PX = 1_024  # longer side of the thumbnail the tissue is found on


@dataclass(frozen=True, slots=True)
class LaidTiles:
    """Tiles of a slide: centres float64 (n, 2) in level-0 pixels, and the class that was drawn round each.

    `n_grid` counts the places of the grid, with those that hold no tissue or lie in no region.
    """

    xy_px: Points
    labels: tuple[str | None, ...]
    n_grid: int = 0

    def only(self, kept: npt.NDArray[np.bool_]) -> "LaidTiles":
        """The tiles of a mask, bool (n,)."""
        return LaidTiles(self.xy_px[kept], tuple(np.array(self.labels, dtype=object)[kept]), self.n_grid)


def lay_tiles(
    image: SlideImage,
    mpp: float,
    side_um: float,
    stride_um: float,
    *,
    slide: str,
    regions: Regions | None = None,
) -> LaidTiles:
    """Tiles on tissue, or in the regions that somebody drew.

    Regions to keep take the place of the tissue that is found by colour: at least half of a tile must lie in them, and
    in none to drop. Without regions to keep, a tile of which half or more lies in regions to drop is left out.

    Parameters
    ----------
    image, mpp, side_um, stride_um
        See `tissue_grid`.
    slide : str
        Its name, for errors.
    regions : Regions, optional
        Drawn regions.

    Raises
    ------
    SlideError, RegionError
        See `tissue_grid`, and if regions do not lie on the slide.
    """
    n_grid = len(_grid(image.size_px, mpp, side_um, stride_um))
    if regions is None:
        centres = tissue_grid(image, mpp, side_um, stride_um)
        return LaidTiles(centres, (None,) * len(centres), n_grid)
    size_px, side_px = image.size_px, side_um / mpp
    check_regions(regions, size_px, slide=slide)
    if regions.keep:
        centres = _grid(size_px, mpp, side_um, stride_um)
        inside = region_shares(regions.keep, centres, side_px, size_px, without=regions.drop)
        centres = centres[inside >= MIN_TISSUE]
    else:
        centres = tissue_grid(image, mpp, side_um, stride_um)
        centres = centres[region_shares(regions.drop, centres, side_px, size_px) < MIN_TISSUE]
    return LaidTiles(centres, region_names(regions.keep, centres, side_px, size_px), n_grid)


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
    centres = _grid(image.size_px, mpp, side_um, stride_um)
    if not len(centres):
        return centres
    width, height = image.size_px
    mask = tissue_mask(image.thumbnail(_MASK_PX))
    scale = np.array([mask.shape[1] / width, mask.shape[0] / height])
    return centres[tissue_share(mask, centres * scale, side_um / mpp * scale) >= MIN_TISSUE]


def local_order(xy_px: Points, side_px: float) -> Rows:
    """An order of patches in which each lies close to the one before, so that little is decoded twice.

    Bands eight patches wide are read from top to bottom, in stripes half a patch high, to and fro. What neighbouring
    stripes of a band share is little enough to stay decoded.

    Parameters
    ----------
    xy_px : float64 (n, 2)
        Centres, level-0 pixels.
    side_px : float
        Side of a patch in level-0 pixels.

    Returns
    -------
    int64 (n,)
        Numbers of the patches in that order.
    """
    x, y = xy_px.T
    band = np.floor(x / (_BAND_SIDES * side_px))
    stripe = np.floor(y / (side_px / 2))
    return np.lexsort((np.where(stripe % 2, -x, x), stripe, band)).astype(np.int64)


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


def _grid(size_px: tuple[int, int], mpp: float, side_um: float, stride_um: float) -> Points:
    """Centres of all tiles that lie wholly on a slide, row by row. Raises `SlideError`."""
    for name, value in (("mpp", mpp), ("side_um", side_um), ("stride_um", stride_um)):
        if not value > 0:
            raise SlideError(f"Got {name} {value}; expected a positive length in micrometres.")
    x, y = (_axis(length, side_um / mpp, stride_um / mpp) for length in size_px)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _axis(length_px: int, side_px: float, stride_px: float) -> Points:
    """Centres along one axis: as many whole tiles as fit, in the middle of what is left over."""
    n = int(np.floor((length_px - side_px) / stride_px + 1e-9)) + 1
    if n < 1:
        return np.empty(0)
    margin = (length_px - (side_px + (n - 1) * stride_px)) / 2
    return margin + side_px / 2 + np.arange(n, dtype=np.float64) * stride_px
