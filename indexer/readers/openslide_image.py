"""Slides that OpenSlide reads (svs, ndpi, mrxs, pyramidal tiff ...): read by region from the best level."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from indexer.datasets.manifest import Role
from indexer.errors import SlideError
from indexer.readers.decoded_blocks import DecodedBlocks
from indexer.readers.first_bytes import told_by_content
from indexer.readers.overviews import WHOLE_PIXELS, shrink_by_blocks
from indexer.slides import Pixels, SlideFacts

if TYPE_CHECKING:
    from openslide import AbstractSlide

ROLES: tuple[Role, ...] = ("image",)

_WHITE = (255, 255, 255)
_MAX_ANISOTROPY = 0.02  # mpp of x and y may differ by this much; HistoSeek has one mpp a slide


class OpenSlideImage:
    """Patches and thumbnails of a pyramid; what the scanner left out or what lies outside is white.

    Pixel `i` covers `[i, i + 1)` on its axis, so the centre of a slide `w` wide lies at `w / 2`.

    Parameters
    ----------
    path : Path
        Slide file; `SlideError` if OpenSlide cannot read it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._slide = _open(path)
        tile_px = _tile_px(self._slide)
        fits = DecodedBlocks.suits(tile_px)
        self._blocks = DecodedBlocks(partial(self._decoded, 0), self.size_px, tile_px) if fits else None

    @property
    def size_px(self) -> tuple[int, int]:
        """`(width, height)` at level 0."""
        width, height = self._slide.dimensions
        return int(width), int(height)

    @property
    def largest_downsample(self) -> float:
        """Level-0 pixels per pixel of the smallest level."""
        return float(self._slide.level_downsamples[-1])

    @property
    def mpp(self) -> float | None:
        """Micrometres per pixel at level 0 as the file says; `None` if it does not.

        Raises `SlideError` if pixels are not square.
        """
        keys = ("openslide.mpp-x", "openslide.mpp-y")
        found = [float(self._slide.properties[key]) for key in keys if key in self._slide.properties]
        if not found or min(found) <= 0:
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
        level = self._slide.get_best_level_for_downsample(max(1.0, side_px / out_px))
        scale = float(self._slide.level_downsamples[level])
        left, top = x_px - side_px / 2, y_px - side_px / 2
        # `read_region` takes a whole level-0 corner and a whole number of level pixels: take the pixels that cover the
        # square and cut the square out of them while resampling.
        corner = (int(np.floor(left)), int(np.floor(top)))
        offset = ((left - corner[0]) / scale, (top - corner[1]) / scale)
        side = side_px / scale
        size = (int(np.ceil(offset[0] + side)), int(np.ceil(offset[1] + side)))
        region = self._region(corner, level, (max(1, size[0]), max(1, size[1])))
        box = (*offset, offset[0] + side, offset[1] + side)
        return np.asarray(region.resize((out_px, out_px), Image.Resampling.BILINEAR, box=box), dtype=np.uint8)

    def thumbnail(self, max_px: int) -> Pixels:
        """Whole slide, RGB uint8 `(height, width, 3)`, its longer side at most `max_px`."""
        width, height = self.size_px
        scale = min(1.0, max_px / max(width, height))
        level = self._slide.get_best_level_for_downsample(1 / scale)
        level_px = (int(self._slide.level_dimensions[level][0]), int(self._slide.level_dimensions[level][1]))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        if level_px[0] * level_px[1] > WHOLE_PIXELS:
            return shrink_by_blocks(partial(self._block, level), level_px, size)
        whole = self._decoded(level, (0, 0), level_px)
        return np.asarray(whole.resize(size, Image.Resampling.BOX), dtype=np.uint8)

    def close(self) -> None:
        """Close the file."""
        if self._blocks is not None:
            self._blocks.clear()
        self._slide.close()

    def _block(self, level: int, first: tuple[int, int], last: tuple[int, int]) -> Image.Image:
        """Pixels of a level from one corner up to another."""
        scale = float(self._slide.level_downsamples[level])
        corner = (round(first[0] * scale), round(first[1] * scale))
        return self._decoded(level, corner, (last[0] - first[0], last[1] - first[1]))

    def _region(self, corner: tuple[int, int], level: int, size: tuple[int, int]) -> Image.Image:
        """Pixels of a level from a level-0 corner, `size` pixels of the level."""
        # Other levels are read from corners between their pixels, which OpenSlide interpolates.
        if level == 0 and self._blocks is not None and self._blocks.holds(size):
            return self._blocks.region(corner, size, _WHITE)
        return self._decoded(level, corner, size)

    def _decoded(self, level: int, corner: tuple[int, int], size: tuple[int, int]) -> Image.Image:
        from openslide import OpenSlideError

        try:
            region = self._slide.read_region(corner, level, size)
        except OpenSlideError as error:
            raise SlideError(f"Cannot read {self._path.name} at {corner}: {error}. Get the file again.") from error
        opacity = region.getchannel("A")
        if opacity.getextrema() == (255, 255):
            return region.convert("RGB")
        white = Image.new("RGB", region.size, _WHITE)
        white.paste(region, mask=opacity)
        return white


@dataclass(frozen=True)
class OpenSlideSlide:
    """A slide without expression.

    Attributes
    ----------
    manifest_facts : SlideFacts
        As the manifest or the user gives them; an mpp given here goes before the file's.
    image_path : Path
        Slide file.
    """

    manifest_facts: SlideFacts
    image_path: Path

    kind: Literal["spot"] = "spot"

    @cached_property
    def facts(self) -> SlideFacts:
        """Metadata, with the file's mpp where none was given.

        A file that cannot be read leaves `mpp` empty here, so that a list of slides can be shown; `open_image` raises.
        """
        if self.manifest_facts.mpp is not None:
            return self.manifest_facts
        try:
            image = OpenSlideImage(self.image_path)
            mpp = image.mpp
        except SlideError:
            return self.manifest_facts
        image.close()
        return replace(self.manifest_facts, mpp=mpp, mpp_source=None if mpp is None else "file")

    @property
    def files(self) -> tuple[Path, ...]:
        """The slide file."""
        return (self.image_path,)

    def open_image(self) -> OpenSlideImage:
        """Image of the slide.

        Raises
        ------
        SlideError
            If the file cannot be read, or neither it nor the manifest says the mpp.
        """
        image = OpenSlideImage(self.image_path)
        if self.manifest_facts.mpp is None and image.mpp is None:
            image.close()
            raise SlideError(
                f"Slide {self.manifest_facts.slide}: {self.image_path.name} does not say its micrometres per pixel; "
                "expected them in the file or as `mpp` of the slide in the manifest, e.g. `mpp: 0.5` for a 20x scan."
            )
        return image

    def read_genes(self) -> Sequence[str]:
        """No genes: the slide has no expression."""
        return ()

    def read_expression(self) -> None:
        """The slide has no expression."""


def _tile_px(slide: "AbstractSlide") -> tuple[int, int]:
    """`(width, height)` of the tiles of level 0; zeros where the file says none."""
    width, height = (int(slide.properties.get(f"openslide.level[0].tile-{side}", 0)) for side in ("width", "height"))
    return width, height


def _open(path: Path) -> "AbstractSlide":
    import openslide

    if not path.is_file():
        raise SlideError(f"The slide {path} is missing; fetch it or correct its path.")
    if path.suffix.lower() == ".mrxs" and not path.with_suffix("").is_dir():
        raise SlideError(f"{path} is only the head of a slide: its pixels are in the folder {path.stem} beside it.")
    try:
        return openslide.OpenSlide(path)
    except openslide.OpenSlideError as error:  # unsupported formats included
        if (what := told_by_content(path)) is not None:
            raise SlideError(f"OpenSlide cannot read {path}: it is {what}.") from error
        raise SlideError(
            f"OpenSlide cannot read {path}: {error}. Get it again, or convert it to pyramidal TIFF."
        ) from error
