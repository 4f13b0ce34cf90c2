"""Blocks of a slide that stay decoded for a while, so that overlapping patches decode each pixel once."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from PIL import Image

_MAX_BYTES = 96 * 2**20
_PIXEL_BYTES = 4  # Pillow holds RGB in four
_LEAST_PX, _MOST_PX = 240, 2_048  # sides of a block; smaller tiles are taken together, larger ones not kept

#: Reads an RGB picture from its upper left corner `(x, y)` and its size `(width, height)`.
ReadRegion = Callable[[tuple[int, int], tuple[int, int]], Image.Image]


class DecodedBlocks:
    """Regions of one level put together from blocks of the file's own tiles. Several threads may use it.

    Blocks used last are kept, at most 96 MiB of them, so reading is cheap where regions lie close to those before.

    Parameters
    ----------
    read : callable
        Reads a block.
    size_px : tuple of int
        `(width, height)` of the level.
    tile_px : tuple of int
        `(width, height)` of the file's tiles.
    """

    def __init__(self, read: ReadRegion, size_px: tuple[int, int], tile_px: tuple[int, int]) -> None:
        self._read = read
        self._size = size_px
        self._step = (tile_px[0] * -(-_LEAST_PX // tile_px[0]), tile_px[1] * -(-_LEAST_PX // tile_px[1]))
        self._most = max(1, _MAX_BYTES // (self._step[0] * self._step[1] * _PIXEL_BYTES))
        self._kept: OrderedDict[tuple[int, int], Image.Image] = OrderedDict()
        self._lock = Lock()

    @staticmethod
    def suits(tile_px: tuple[int, int]) -> bool:
        """Whether tiles are small enough to keep a number of them; strips across a slide are not."""
        return all(0 < side <= _MOST_PX for side in tile_px)

    def holds(self, size: tuple[int, int]) -> bool:
        """Whether a region of this size, and as much again, fits into what is kept."""
        across, down = (-(-length // step) + 1 for length, step in zip(size, self._step, strict=True))
        return 2 * across * down <= self._most

    def region(self, corner: tuple[int, int], size: tuple[int, int], outside: tuple[int, int, int]) -> Image.Image:
        """RGB picture of a region `(width, height)`; `outside` is the colour of what lies off the level."""
        left, top = corner
        right, bottom = left + size[0], top + size[1]
        is_inside = left >= 0 and top >= 0 and right <= self._size[0] and bottom <= self._size[1]
        picture = Image.new("RGB", size, None if is_inside else outside)
        right, bottom = min(right, self._size[0]), min(bottom, self._size[1])
        step_x, step_y = self._step
        for y in range(max(0, top) // step_y * step_y, bottom, step_y):
            for x in range(max(0, left) // step_x * step_x, right, step_x):
                picture.paste(self._block(x, y), (x - left, y - top))
        return picture

    def clear(self) -> None:
        """Give the decoded blocks back."""
        with self._lock:
            self._kept.clear()

    def _block(self, x: int, y: int) -> Image.Image:
        with self._lock:
            if (kept := self._kept.get((x, y))) is not None:
                self._kept.move_to_end((x, y))
                return kept
        size = (min(self._step[0], self._size[0] - x), min(self._step[1], self._size[1] - y))
        block = self._read((x, y), size)
        with self._lock:
            self._kept[x, y] = block
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return block
