"""Slides that are one flat picture, PNG or JPEG: decoded once, when first asked for, and kept until closed."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from indexer.errors import SlideError
from indexer.readers.first_bytes import told_by_content
from indexer.slides import Pixels

#: Most pixels of a flat picture, 600 MB decoded. Pillow warns at 89 Mpx, less than a legacy ST section of 9,270 x
#: 9,936, and refuses at 179 Mpx; that refusal stays. Larger slides belong in a pyramid, which is read by region.
MAX_PIXELS = 150_000_000

WHITE = 255
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})  # what Pillow turns into 8-bit RGB without loss


class FlatImage:
    """Square patches and thumbnails of a flat picture.

    Pixel `i` covers `[i, i + 1)` on its axis, so the centre of a picture `w` wide lies at `w / 2`.

    Parameters
    ----------
    path : Path
        PNG or JPEG. Only its header is read here; `SlideError` if that fails or the picture is too large.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = image_size(path)
        self._decoded: Image.Image | None = None

    @property
    def size_px(self) -> tuple[int, int]:
        """`(width, height)`."""
        return self._size

    def read(self, x_px: float, y_px: float, side_px: float, out_px: int) -> Pixels:
        """Square of `side_px` pixels centred on `(x_px, y_px)`, resampled to `(out_px, out_px, 3)` uint8 RGB.

        What lies outside the picture is white. Raises `SlideError` if the picture cannot be decoded.
        """
        return cut_square(self._pixels(), x_px, y_px, side_px, out_px)

    def thumbnail(self, max_px: int) -> Pixels:
        """Whole picture, RGB uint8 `(height, width, 3)`, its longer side at most `max_px`."""
        return shrink(self._pixels(), max_px)

    def close(self) -> None:
        """Give the decoded pixels back; the next read decodes again."""
        self._decoded = None

    def _pixels(self) -> Image.Image:
        if self._decoded is None:
            try:
                with _open(self._path) as picture:
                    picture.load()
                    # `convert` copies even where there is nothing to convert, 370 MB for a legacy ST section.
                    self._decoded = picture if picture.mode == "RGB" else picture.convert("RGB")
            except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise
                raise SlideError(
                    f"Cannot decode the image {self._path}: {error}. It is cut short or damaged: get it again, for "
                    "a data set of the manifest with `histoseek data fetch`."
                ) from error
        return self._decoded


def image_size(path: Path) -> tuple[int, int]:
    """`(width, height)` in pixels from the header of a picture.

    Raises
    ------
    SlideError
        If the file is missing, is no picture of 8-bit RGB or grey, or has more than `MAX_PIXELS`.
    """
    try:
        with _open(path) as picture:
            (width, height), mode = picture.size, picture.mode
    except FileNotFoundError as error:
        raise SlideError(f"The image {path} is missing; fetch it or correct its path.") from error
    except UnidentifiedImageError as error:
        what = told_by_content(path)
        so = "" if what is None else f"; it is {what}"
        raise SlideError(f"{path} is not an image that can be read; expected a PNG or JPEG{so}.") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SlideError(f"Cannot read the image {path}: {error}. Get it again or convert it to PNG.") from error
    if mode not in _MODES:
        raise SlideError(
            f"{path.name} has pixels of mode {mode}; expected RGB or grey of 8 bits, not CMYK or 16 bits a channel. "
            "Convert it, or export it from the scanner again."
        )
    if width * height > MAX_PIXELS:
        raise SlideError(
            f"{path.name} has {width} x {height} pixels; expected at most {MAX_PIXELS:,} in a flat image. "
            "Convert it to a pyramidal TIFF, which is read by region."
        )
    return width, height


def cut_square(picture: Image.Image, x_px: float, y_px: float, side_px: float, out_px: int) -> Pixels:
    """Square of a picture by its centre, resampled to RGB uint8 `(out_px, out_px, 3)`; white where it ends."""
    left, top = x_px - side_px / 2, y_px - side_px / 2
    first = (int(np.floor(left)), int(np.floor(top)))
    last = (int(np.ceil(left + side_px)), int(np.ceil(top + side_px)))
    region = crop_on_white(picture, first, last)
    inner = (left - first[0], top - first[1], left - first[0] + side_px, top - first[1] + side_px)
    return np.asarray(region.resize((out_px, out_px), Image.Resampling.BILINEAR, box=inner), dtype=np.uint8)


def shrink(picture: Image.Image, max_px: int) -> Pixels:
    """Whole RGB picture as uint8 `(height, width, 3)`, its longer side at most `max_px`, never enlarged."""
    scale = min(1.0, max_px / max(picture.size))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return np.asarray(picture.resize(size, Image.Resampling.BOX, reducing_gap=2.0), dtype=np.uint8)


def crop_on_white(picture: Image.Image, first: tuple[int, int], last: tuple[int, int]) -> Image.Image:
    """Pixels from `first` up to, not including, `last`, both `(x, y)`; white where the picture ends."""
    size = (max(1, last[0] - first[0]), max(1, last[1] - first[1]))
    inside = (max(0, first[0]), max(0, first[1]), min(picture.width, last[0]), min(picture.height, last[1]))
    if inside == (*first, *last):
        return picture.crop(inside)
    region = Image.new("RGB", size, (WHITE, WHITE, WHITE))
    if inside[0] < inside[2] and inside[1] < inside[3]:
        region.paste(picture.crop(inside), (inside[0] - first[0], inside[1] - first[1]))
    return region


def _open(path: Path) -> Image.Image:
    """Open without Pillow's warning above 89 Mpx, which `MAX_PIXELS` replaces; its error above 179 Mpx stays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(path)
