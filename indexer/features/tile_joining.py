"""Which tile lies under a spot: by position, or by barcode where a file names its spots."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from indexer.errors import JoinError
from indexer.readers.features import HestPatches, TileFeatures
from indexer.slides import Expression

Points = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
#: Below this share of joined spots, positions are in another frame or of another slide.
MIN_JOINED = 0.5
_ALIGNED = 0.1  # of a side: how far centres of the same patch may lie from each other


@dataclass(frozen=True, slots=True)
class TileJoin:
    """The tile of each spot.

    Attributes
    ----------
    tile_of : int64 (n_spots,)
        Number of the tile, -1 where a spot has none.
    report : str
        How many joined, for the user.
    """

    tile_of: Rows
    report: str


def join_by_position(spots_px: Points, tiles: TileFeatures, *, slide: str) -> TileJoin:
    """Give each spot the tile whose centre is nearest, if that is at most half a side away along either axis.

    Raises
    ------
    JoinError
        If fewer than half of the spots have a tile.
    """
    from scipy.spatial import cKDTree

    distance, nearest = cKDTree(tiles.xy_px).query(spots_px, p=np.inf)
    inside = distance <= tiles.side_px / 2
    tile_of = np.where(inside, nearest, -1).astype(np.int64)
    n, n_joined = len(spots_px), int(inside.sum())
    if n_joined < MIN_JOINED * n:
        raise JoinError(
            f"Slide {slide}: {n_joined:,} of {n:,} spots lie on one of the {len(tiles.xy_px):,} tiles of "
            f"{tiles.side_px:g} px; expected at least {MIN_JOINED:.0%}. Spots lie in {_extent(spots_px)}, tile centres "
            f"in {_extent(tiles.xy_px)} px: check that both are level-0 pixels, x before y, of one slide."
        )
    off = np.median(distance[inside]) if n_joined else 0.0
    return TileJoin(
        tile_of,
        f"{slide}: {n_joined:,} of {n:,} spots joined to a tile (median distance {off:.0f} of {tiles.side_px:.0f} px)",
    )


def join_by_barcode(expression: Expression, patches: HestPatches, *, slide: str) -> TileJoin:
    """Give each spot the patch of its barcode.

    Raises
    ------
    JoinError
        If a barcode is there twice, or fewer than half of the patches have a spot.
    """
    place = {name: number for number, name in enumerate(patches.names)}
    if len(place) < len(patches.names):
        raise JoinError(f"Slide {slide}: {patches.path.name} has a barcode twice; expected one patch a spot.")
    tile_of = np.array([place.get(name, -1) for name in expression.names], dtype=np.int64)
    n_joined = int((tile_of >= 0).sum())
    if n_joined < MIN_JOINED * min(len(place), len(tile_of)):
        raise JoinError(
            f"Slide {slide}: {n_joined:,} of {len(place):,} barcodes of {patches.path.name} are among the "
            f"{len(tile_of):,} spots; expected most, such as {patches.names[0]!r}, which the spots write like "
            f"{expression.names[0]!r}. Check that both are of one sample."
        )
    return TileJoin(tile_of, f"{slide}: {n_joined:,} of {len(tile_of):,} spots joined to a patch by barcode")


def patches_on_spots(patches: HestPatches, tile_of: Rows, spots_px: Points, *, slide: str) -> Points:
    """Centres of HEST patches, told from their spots: files hold corners, or centres, or centres with y before x.

    Parameters
    ----------
    patches : HestPatches
        Read as corners.
    tile_of : int64 (n_spots,)
        Patch of each spot, -1 where none.
    spots_px : float64 (n_spots, 2)
        Centres of the spots, level-0 pixels.

    Returns
    -------
    float64 (n_patches, 2)

    Raises
    ------
    JoinError
        If no reading of the coordinates puts the patches on their spots.
    """
    has = tile_of >= 0
    half = patches.side_px / 2
    readings = (patches.xy_px, patches.xy_px - half, (patches.xy_px - half)[:, ::-1])
    off = [float(np.median(np.abs(xy[tile_of[has]] - spots_px[has]).max(axis=1))) for xy in readings]
    best = int(np.argmin(off))
    if off[best] > _ALIGNED * patches.side_px:
        raise JoinError(
            f"Slide {slide}: patches of {patches.path.name} lie {off[0]:.0f} px from the spots of the same barcode "
            f"(median; a patch is {patches.side_px:.0f} px wide). Check that both are level-0 pixels of one picture."
        )
    return np.ascontiguousarray(readings[best])


def _extent(points: Points) -> str:
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return f"x {x0:.0f} to {x1:.0f}, y {y0:.0f} to {y1:.0f}"
