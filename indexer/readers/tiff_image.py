"""OME-TIFF and other TIFFs that OpenSlide does not know, read by region from the tiles or strips of the best level."""

import re
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from indexer.errors import SlideError
from indexer.readers.first_bytes import told_by_content
from indexer.readers.flat_image import WHITE, cut_square
from indexer.readers.overviews import shrink_by_blocks
from indexer.slides import Pixels

if TYPE_CHECKING:
    from tifffile import TiffFile

_OME_SIZES = tuple(re.compile(rf'<Pixels\b[^>]*\bPhysicalSize{axis}="([^"]+)"') for axis in "XY")
_OME_UNIT = re.compile(r'<Pixels\b[^>]*\bPhysicalSizeXUnit="([^"]+)"')
_UM_PER_UNIT = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
_UM_PER_RESOLUTION_UNIT = {2: 25_400.0, 3: 10_000.0}  # inch, centimetre
_MAX_ANISOTROPY = 0.02
_LEAST_FACTOR = 1.5  # between levels of a pyramid
_MAX_SEGMENT_PIXELS = 100_000_000  # of one tile or strip, which is decoded whole
_KEPT_BYTES = 64 * 2**20
_DEFLATE = frozenset({8, 32946})  # numbers of the two names that TIFF has for zlib
_DEFLATE_RATIO, _SAFE_BYTES = 1_032, 256 * 2**20  # the most it packs, and what a tile may unpack to unseen
_PYRAMID = "vips tiffsave {name} {stem}-pyramid.tif --tile --pyramid --compression jpeg --bigtiff"


class TiffImage:
    """Patches and thumbnails of a TIFF, pyramidal or not; only the tiles asked for are decoded.

    Pixel `i` covers `[i, i + 1)` on its axis, so the centre of a slide `w` wide lies at `w / 2`.

    Parameters
    ----------
    path : Path
        The file: 8-bit RGB, tiled or in strips.

    Raises
    ------
    SlideError
        If it cannot be read, or holds something else than 8-bit RGB.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._kept: OrderedDict[tuple[int, int], Pixels] = OrderedDict()
        self._file = _open(path)
        try:
            with _damage_told(path):
                self._levels = _levels(self._file, path)
        except SlideError:
            self._file.close()
            raise

    @property
    def size_px(self) -> tuple[int, int]:
        """`(width, height)` at level 0."""
        return int(self._levels[0].imagewidth), int(self._levels[0].imagelength)

    @property
    def largest_downsample(self) -> float:
        """Level-0 pixels per pixel of the smallest level."""
        return float(self._levels[0].imagewidth / self._levels[-1].imagewidth)

    @property
    def mpp(self) -> float | None:
        """Micrometres per pixel at level 0 by OME, else by the resolution tags; `None` if neither says it.

        Raises `SlideError` if pixels are not square.
        """
        with _damage_told(self._path):
            found = _ome_mpp(self._file.ome_metadata or "") or _tag_mpp(self._levels[0])
        if not found:
            return None
        if max(found) / min(found) > 1 + _MAX_ANISOTROPY:
            raise SlideError(
                f"{self._path.name} has {found[0]:g} x {found[-1]:g} um per pixel; expected square pixels."
            )
        return float(np.mean(found))

    def read(self, x_px: float, y_px: float, side_px: float, out_px: int) -> Pixels:
        """Square of `side_px` level-0 pixels centred on `(x_px, y_px)`, resampled to `(out_px, out_px, 3)` uint8.

        Reads the smallest level that still holds at least as many pixels as asked for. Raises `SlideError`.
        """
        with _damage_told(self._path):
            level, scale = self._best(max(1.0, side_px / out_px))
            x, y, side = x_px / scale, y_px / scale, side_px / scale
            first = (int(np.floor(x - side / 2)), int(np.floor(y - side / 2)))
            last = (int(np.ceil(x + side / 2)), int(np.ceil(y + side / 2)))
            region = Image.fromarray(self._region(level, first, last))
            return cut_square(region, x - first[0], y - first[1], side, out_px)

    def thumbnail(self, max_px: int) -> Pixels:
        """Whole slide, RGB uint8 `(height, width, 3)`, its longer side at most `max_px`."""
        with _damage_told(self._path):
            width, height = self.size_px
            level, _ = self._best(max(1.0, max(width, height) / max_px))
            level_px = (int(level.imagewidth), int(level.imagelength))
            scale = min(1.0, max_px / max(width, height))
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            return shrink_by_blocks(partial(self._block, level), level_px, size)

    def close(self) -> None:
        """Close the file."""
        self._kept.clear()
        self._file.close()

    def _best(self, downsample: float) -> tuple[Any, float]:
        """Smallest level with at most this downsample, and its own."""
        width = self.size_px[0]
        fitting = [(page, width / page.imagewidth) for page in self._levels]
        return max((one for one in fitting if one[1] <= downsample * 1.01), key=lambda one: one[1])

    def _block(self, page: Any, first: tuple[int, int], last: tuple[int, int]) -> Image.Image:
        return Image.fromarray(self._region(page, first, last))

    def _region(self, page: Any, first: tuple[int, int], last: tuple[int, int]) -> Pixels:
        """RGB `(height, width, 3)` of a level from `first` up to `last`, both `(x, y)`; white outside."""
        size = (max(1, last[1] - first[1]), max(1, last[0] - first[0]))
        region = np.full((*size, 3), WHITE, dtype=np.uint8)
        width, height = int(page.imagewidth), int(page.imagelength)
        step_x, step_y = _segment_size(page)
        across = -(-width // step_x)
        left, top = max(0, first[0]), max(0, first[1])
        right, bottom = min(width, last[0]), min(height, last[1])
        for row in range(top // step_y, -(-bottom // step_y) if right > left else 0):
            for column in range(left // step_x, -(-right // step_x)):
                pixels = self._kept_segment(page, row * across + column)
                x, y = column * step_x, row * step_y
                x1, y1 = min(right, x + pixels.shape[1]), min(bottom, y + pixels.shape[0])
                x0, y0 = max(left, x), max(top, y)
                region[y0 - first[1] : y1 - first[1], x0 - first[0] : x1 - first[0]] = pixels[
                    y0 - y : y1 - y, x0 - x : x1 - x, :3
                ]
        return region

    def _kept_segment(self, page: Any, place: int) -> Pixels:
        """One tile or strip, decoded unless it was just now: a strip reaches across many patches."""
        key = (int(page.offset), place)
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        pixels = self._segment(page, place)
        with self._lock:
            self._kept[key] = pixels
            while len(self._kept) > max(1, _KEPT_BYTES // pixels.nbytes):
                self._kept.popitem(last=False)
        return pixels

    def _segment(self, page: Any, place: int) -> Pixels:
        """One tile or strip, decoded."""
        offset, n_bytes = page.dataoffsets[place], page.databytecounts[place]
        with self._lock:  # a file has one place that it is read at
            self._file.filehandle.seek(offset)
            content = self._file.filehandle.read(n_bytes) if n_bytes else None
        if content is not None and len(content) < n_bytes:
            raise SlideError(f"{self._path} is cut short at tile {place}; get it again.")
        if content is not None and page.compression in _DEFLATE:
            self._check_unpacked(content, page, place)
        try:
            pixels, _, shape = page.decode(content, place, jpegtables=page.jpegtables)
        except (ValueError, RuntimeError, OSError, zlib.error) as error:
            raise SlideError(
                f"Cannot decode tile {place} of {self._path}: {error}. It is damaged: get it again."
            ) from error
        if pixels is None:  # a tile without bytes is background
            return np.full((shape[1], shape[2], 3), WHITE, dtype=np.uint8)
        return np.asarray(pixels[0], dtype=np.uint8)

    def _check_unpacked(self, content: bytes, page: Any, place: int) -> None:
        """Raise `SlideError` for a tile that unpacks to far more than its pixels; small ones cannot."""
        if len(content) * _DEFLATE_RATIO <= _SAFE_BYTES:
            return
        step_x, step_y = _segment_size(page)
        expected = step_x * step_y * page.samplesperpixel
        unpacking = zlib.decompressobj()
        try:
            unpacking.decompress(content, expected + 1)
        except zlib.error:
            return  # told when it is decoded
        if not unpacking.eof and unpacking.unconsumed_tail:
            raise SlideError(
                f"Tile {place} of {self._path} unpacks to more than its {expected:,} bytes; it is damaged or made to "
                "fill the memory. Get it again."
            )


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """What a damaged file leads tifffile into, whichever it is, as a `SlideError`."""
    try:
        yield
    except SlideError:
        raise
    except Exception as error:
        raise SlideError(f"{path} is damaged: {error!r}. Get it again.") from error


def _open(path: Path) -> "TiffFile":
    import tifffile

    if not path.is_file():
        raise SlideError(f"The slide {path} is missing; fetch it or correct its path.")
    try:
        return tifffile.TiffFile(path)
    except Exception as error:  # a damaged header raises whatever it leads tifffile into
        if (what := told_by_content(path)) is not None:
            raise SlideError(f"{path} is no TIFF that can be read: it is {what}.") from error
        raise SlideError(f"{path} is no TIFF that can be read: {error}. Get it again.") from error


def _levels(file: "TiffFile", path: Path) -> list[Any]:
    """Pages of the levels of the largest picture, largest first."""
    import tifffile

    series = max(file.series, key=lambda one: one.keyframe.imagewidth * one.keyframe.imagelength)
    pages = [level.keyframe for level in series.levels]
    first: Any = pages[0]
    pages += [] if len(pages) > 1 else _smaller_pages(file, first)
    is_rgb = first.photometric.name in {"RGB", "YCBCR"} and first.samplesperpixel in {3, 4}
    if not is_rgb or first.dtype != np.uint8 or first.planarconfig != tifffile.PLANARCONFIG.CONTIG:
        raise SlideError(
            f"{path} holds {first.samplesperpixel} samples of {first.dtype} a pixel, {first.photometric.name}; "
            "expected 8-bit RGB, interleaved. Convert it."
        )
    step_x, step_y = _segment_size(first)
    if step_x * step_y > _MAX_SEGMENT_PIXELS:
        raise SlideError(
            f"{path} has tiles or strips of {step_x} x {step_y} pixels, which can only be decoded whole; expected at "
            f"most {_MAX_SEGMENT_PIXELS:,} pixels. Convert it: {_PYRAMID.format(name=path.name, stem=path.stem)}"
        )
    if first.compression not in tifffile.TIFF.DECOMPRESSORS:
        raise SlideError(
            f"{path} is compressed with {first.compression.name}, which needs the package imagecodecs: "
            "pip install 'histoseek[tiff]'."
        )
    return pages


def _smaller_pages(file: "TiffFile", first: Any) -> list[Any]:
    """Pages of the same picture made smaller, as some programs write a pyramid without saying so; largest first."""
    width, height = int(first.imagewidth), int(first.imagelength)
    found: list[Any] = []
    for page in (one.keyframe for one in file.series):
        factor = width / page.imagewidth
        is_alike = page.dtype == first.dtype and page.samplesperpixel == first.samplesperpixel
        # Each level is rounded up or down to whole pixels; a label or an overview has other proportions.
        if factor >= _LEAST_FACTOR and is_alike and abs(page.imagelength * factor - height) <= 2 * factor:
            found.append(page)
    return sorted(found, key=lambda page: -int(page.imagewidth))


def _segment_size(page: Any) -> tuple[int, int]:
    """`(width, height)` of a tile, or of a strip."""
    if page.is_tiled:
        return int(page.tilewidth), int(page.tilelength)
    return int(page.imagewidth), int(min(page.rowsperstrip, page.imagelength))


def _ome_mpp(text: str) -> list[float]:
    unit = _OME_UNIT.search(text)
    per_unit = _UM_PER_UNIT.get(unit.group(1) if unit else "µm")
    sizes = [match.group(1) for match in (pattern.search(text) for pattern in _OME_SIZES) if match]
    try:
        found = [float(size) for size in sizes]
    except ValueError:
        return []
    return [] if per_unit is None or not found or min(found) <= 0 else [size * per_unit for size in found]


def _tag_mpp(page: Any) -> list[float]:
    unit = page.tags.get("ResolutionUnit")
    per_unit = _UM_PER_RESOLUTION_UNIT.get(int(unit.value)) if unit is not None else None
    tags = [page.tags.get(name) for name in ("XResolution", "YResolution")]
    if per_unit is None or any(tag is None for tag in tags):
        return []
    values = [tag.value[0] / tag.value[1] if tag.value[1] else 0.0 for tag in tags]
    return [per_unit / value for value in values] if min(values) > 0 else []
