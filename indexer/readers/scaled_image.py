"""A small picture of a slide, read in the frame of the large one it was made from."""

from dataclasses import dataclass

from indexer.slides import Pixels, SlideImage


@dataclass(frozen=True)
class ScaledImage:
    """Patches by level-0 positions from a picture of `factor` of its pixels along each axis.

    Attributes
    ----------
    picture : SlideImage
        The small picture.
    factor : float
        Pixels of the picture per level-0 pixel.
    """

    picture: SlideImage
    factor: float

    @property
    def size_px(self) -> tuple[int, int]:
        """`(width, height)` of the large image."""
        width, height = self.picture.size_px
        return round(width / self.factor), round(height / self.factor)

    def read(self, x_px: float, y_px: float, side_px: float, out_px: int) -> Pixels:
        """Square of `side_px` level-0 pixels centred on `(x_px, y_px)`, resampled to `(out_px, out_px, 3)`."""
        return self.picture.read(x_px * self.factor, y_px * self.factor, side_px * self.factor, out_px)

    def thumbnail(self, max_px: int) -> Pixels:
        """Whole slide, RGB uint8 `(height, width, 3)`, its longer side at most `max_px`."""
        return self.picture.thumbnail(max_px)

    def close(self) -> None:
        """Close the picture."""
        self.picture.close()
