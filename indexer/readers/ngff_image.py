"""Pictures in zarr as OME-NGFF lays them out (versions 0.4 and 0.5): a pyramid of chunked levels, read by region."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from indexer.errors import SlideError
from indexer.readers.flat_image import WHITE, shrink
from indexer.slides import Pixels

_MAX_READ = 50_000_000  # pixels of a region in memory; coarser levels keep reads far below it


@dataclass(frozen=True, slots=True)
class _Level:
    """One level: where it lies, its `(width, height)`, and level-0 pixels per pixel of it, `(x, y)`."""

    path: str
    size: tuple[int, int]
    factor: tuple[float, float]


class NgffImage:
    """Square patches and thumbnails of an 8-bit RGB picture, from the level that fits.

    Parameters
    ----------
    path : Path
        Group of the picture. Only its metadata is read here; `SlideError` if it is no such picture.
    attributes : mapping
        What the group says of itself, with `multiscales`.
    """

    def __init__(self, path: Path, attributes: Mapping[str, Any]) -> None:
        self._path = path
        try:
            scales = multiscales(attributes)
            self._axes = [str(axis["name"]) for axis in scales["axes"]]
            self._levels = self._read_levels([str(level["path"]) for level in scales["datasets"]])
        except (KeyError, IndexError, TypeError, ValueError, OSError) as error:
            raise SlideError(f"{path} is no picture of OME-NGFF ({error!r}); expected multiscales.") from error

    @property
    def size_px(self) -> tuple[int, int]:
        """`(width, height)` at level 0."""
        return self._levels[0].size

    def read(self, x_px: float, y_px: float, side_px: float, out_px: int) -> Pixels:
        """Square of `side_px` level-0 pixels centred on `(x_px, y_px)`, resampled to `(out_px, out_px, 3)` uint8 RGB.

        What lies outside the picture is white. Raises `SlideError` if the picture cannot be read.
        """
        level = self._level(side_px / out_px)
        fx, fy = level.factor
        left, top = (x_px - side_px / 2) / fx, (y_px - side_px / 2) / fy
        right, bottom = left + side_px / fx, top + side_px / fy
        first = (int(np.floor(left)), int(np.floor(top)))
        last = (int(np.ceil(right)), int(np.ceil(bottom)))
        region = self._region(level, first, last)
        box = (left - first[0], top - first[1], right - first[0], bottom - first[1])
        return np.asarray(region.resize((out_px, out_px), Image.Resampling.BILINEAR, box=box), dtype=np.uint8)

    def thumbnail(self, max_px: int) -> Pixels:
        """Whole slide, RGB uint8 `(height, width, 3)`, its longer side at most `max_px`."""
        level = self._level(max(self.size_px) / max_px)
        return shrink(self._region(level, (0, 0), level.size), max_px)

    def close(self) -> None:
        """Nothing is held between reads."""

    def _read_levels(self, paths: list[str]) -> list[_Level]:
        shapes = [open_array(self._path / path).shape for path in paths]
        sizes = [(int(shape[self._axes.index("x")]), int(shape[self._axes.index("y")])) for shape in shapes]
        width, height = sizes[0]
        return [
            _Level(path, size, (width / size[0], height / size[1])) for path, size in zip(paths, sizes, strict=True)
        ]

    def _level(self, downsample: float) -> _Level:
        """The coarsest level that is at least as sharp as asked for."""
        return [level for level in self._levels if min(level.factor) <= max(downsample, 1.0) * 1.01][-1]

    def _region(self, level: _Level, first: tuple[int, int], last: tuple[int, int]) -> Image.Image:
        """Pixels of a level from `first` up to, not including, `last`, `(x, y)`; white where the picture ends."""
        shape = (max(1, last[1] - first[1]), max(1, last[0] - first[0]))
        if shape[0] * shape[1] > _MAX_READ:
            raise SlideError(
                f"{self._path}: {shape[1]} x {shape[0]} pixels at once are too many; expected coarser levels beside "
                f"its {len(self._levels)}. Write the picture as a pyramid."
            )
        pixels = np.full((*shape, 3), WHITE, dtype=np.uint8)
        x0, y0 = max(0, first[0]), max(0, first[1])
        x1, y1 = min(level.size[0], last[0]), min(level.size[1], last[1])
        if x0 < x1 and y0 < y1:
            found = self._pixels(level, slice(x0, x1), slice(y0, y1))
            pixels[y0 - first[1] : y1 - first[1], x0 - first[0] : x1 - first[0]] = found
        return Image.fromarray(pixels)

    def _pixels(self, level: _Level, across: slice, down: slice) -> npt.NDArray[np.uint8]:
        wanted: dict[str, slice] = {"x": across, "y": down, "c": slice(0, 3)}
        try:
            array = open_array(self._path / level.path)
            found = np.asarray(array[tuple(wanted.get(axis, slice(0, 1)) for axis in self._axes)])
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise SlideError(f"Cannot read {self._path}/{level.path}: {error}. Get the picture again.") from error
        order = [self._axes.index(axis) for axis in ("y", "x", "c")]
        others = [place for place in range(found.ndim) if place not in order]
        plane = found.transpose([*order, *others]).reshape(*(found.shape[place] for place in order))
        if plane.dtype != np.uint8 or plane.shape[2] != 3:
            raise SlideError(
                f"{self._path} has {plane.shape[2]} channels of {plane.dtype}; expected red, green and blue of uint8."
            )
        return plane


def multiscales(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The pyramid that a group describes, of version 0.4 or 0.5. Raises `KeyError` or `IndexError` if there is none."""
    within = attributes.get("ome", attributes)
    found: Mapping[str, Any] = within["multiscales"][0]
    return found


def open_array(path: Path) -> Any:
    """An array of a zarr store, its values not read. Raises `OSError` or `ValueError` if there is none."""
    import zarr

    try:
        return zarr.open_array(path, mode="r")
    except (KeyError, RuntimeError, TypeError) as error:
        raise ValueError(f"{path} is no array: {error}") from error
