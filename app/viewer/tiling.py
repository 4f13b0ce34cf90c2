"""How a slide is cut into tiles: levels that halve, from one tile up to level 0 of the slide."""

from dataclasses import dataclass

#: Side of a tile. Two native tiles of most scanners, so that a tile of the slide's own levels is read along them.
TILE_PX = 512


@dataclass(frozen=True, slots=True)
class Tiling:
    """Levels and tiles of a picture.

    Level `top` has the pixels of level 0 of the slide and each level below it half of them, rounded up; level 0 is one
    tile. Tile `(column, row)` of a level begins at `(column * TILE_PX, row * TILE_PX)` and ends with the level.

    Attributes
    ----------
    width_px, height_px : int
        Of the picture, at level 0 of the slide.
    """

    width_px: int
    height_px: int

    @property
    def top(self) -> int:
        """Number of the largest level."""
        n_tiles = -(-max(self.width_px, self.height_px) // TILE_PX)
        return (n_tiles - 1).bit_length()

    def scale(self, level: int) -> int:
        """Pixels of the slide per pixel of a level."""
        return 1 << (self.top - level)

    def size(self, level: int) -> tuple[int, int]:
        """`(width, height)` of a level."""
        scale = self.scale(level)
        return -(-self.width_px // scale), -(-self.height_px // scale)

    def grid(self, level: int) -> tuple[int, int]:
        """Columns and rows of a level."""
        width, height = self.size(level)
        return -(-width // TILE_PX), -(-height // TILE_PX)

    def holds(self, level: int, column: int, row: int) -> bool:
        """Whether there is such a tile."""
        if not 0 <= level <= self.top:
            return False
        columns, rows = self.grid(level)
        return 0 <= column < columns and 0 <= row < rows

    def tile_size(self, level: int, column: int, row: int) -> tuple[int, int]:
        """`(width, height)` of a tile: less than `TILE_PX` where the picture ends."""
        width, height = self.size(level)
        return min(TILE_PX, width - column * TILE_PX), min(TILE_PX, height - row * TILE_PX)
