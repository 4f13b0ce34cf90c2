"""Thumbnails of levels too large to hold: shrunk block by block."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from indexer.slides import Pixels

#: Pixels of a level that is read whole; of a larger one, about so many are held at a time.
WHOLE_PIXELS = 50_000_000

#: Reads an RGB picture of a level, from one corner up to another, both `(x, y)`.
ReadBlock = Callable[[tuple[int, int], tuple[int, int]], Image.Image]


def shrink_by_blocks(read: ReadBlock, level_px: tuple[int, int], size: tuple[int, int]) -> Pixels:
    """A level shrunk to `size`, each pixel the mean of those it stands for.

    Parameters
    ----------
    read : callable
        Reads a block of the level.
    level_px, size : tuple of int
        `(width, height)` of the level, and of the thumbnail, which is not larger.

    Returns
    -------
    uint8 (height, width, 3)
        RGB.
    """
    whole = np.empty((size[1], size[0], 3), dtype=np.uint8)
    per_x, per_y = level_px[0] / size[0], level_px[1] / size[1]
    n_columns = max(1, min(size[0], int(WHOLE_PIXELS / (per_x * per_y))))
    n_rows = max(1, int(WHOLE_PIXELS / (per_x * per_y * n_columns)))
    for top in range(0, size[1], n_rows):
        for left in range(0, size[0], n_columns):
            right, bottom = min(size[0], left + n_columns), min(size[1], top + n_rows)
            box = (left * per_x, top * per_y, right * per_x, bottom * per_y)
            first = (int(box[0]), int(box[1]))
            last = (min(level_px[0], int(np.ceil(box[2]))), min(level_px[1], int(np.ceil(box[3]))))
            inner = (
                box[0] - first[0],
                box[1] - first[1],
                min(box[2], last[0]) - first[0],
                min(box[3], last[1]) - first[1],
            )
            block = read(first, last).resize((right - left, bottom - top), Image.Resampling.BOX, box=inner)
            whole[top:bottom, left:right] = np.asarray(block, dtype=np.uint8)
    return whole
