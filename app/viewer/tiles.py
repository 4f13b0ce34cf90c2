"""Tiles of the slides of an index, by slide name: from the slide file, or from a pyramid made of it."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from app.viewer.handles import Handles
from app.viewer.pyramids import Pyramid, build_pyramid, encode, make_room, pyramid_path
from app.viewer.tiling import TILE_PX, Tiling
from encoders.errors import HistoSeekError
from indexer.errors import SlideError
from indexer.slides import SlideImage

#: Of the smallest level of a file: a larger one is not decoded for every overview tile, but once, into a pyramid.
_LARGEST_OVERVIEW = 16_000_000
#: A picture without levels that is larger is not decoded: a pyramid of it takes minutes and half a gigabyte.
_LARGEST_DECODED = 600_000_000
_MOST_TILE_BYTES = 64 * 2**20
_MOST_SLIDES = 64

State = Literal["ready", "preparing", "picture"]


@dataclass(frozen=True, slots=True)
class IndexedSlide:
    """What the index says of a slide.

    Attributes
    ----------
    name : str
        Its name.
    path : Path or None
        Its image file, where it was when it was read.
    size_px : (int, int) or None
        Width and height at level 0.
    picture : bytes or None
        JPEG of the whole slide.
    """

    name: str
    path: Path | None
    size_px: tuple[int, int] | None
    picture: bytes | None


@dataclass(frozen=True, slots=True)
class Shown:
    """How a slide can be shown.

    Attributes
    ----------
    state : {"ready", "preparing", "picture"}
        Tiles can be had; will be had soon; cannot, so only the small picture of the index is shown.
    sentence : str
        What to tell the user; empty for `ready`.
    tiling : Tiling or None
        Of a slide that is ready or being prepared.
    stamp : str
        Changes when the file does.
    """

    state: State
    sentence: str = ""
    tiling: Tiling | None = None
    stamp: str = ""


@dataclass(slots=True)
class _Opened:
    path: Path
    shown: Shown
    pyramid: Pyramid | None = None
    coming: "Future[Pyramid] | None" = None


class Tiles:
    """Tiles of all slides of an index; one object a server, used by all its threads.

    Parameters
    ----------
    find : callable
        The slide of a name, `None` if the index has none. Nothing else decides which files are read.
    folder : Path
        Where pyramids are kept.
    """

    def __init__(self, find: Callable[[str], IndexedSlide | None], folder: Path) -> None:
        self._find = find
        self._folder = folder
        self._handles = Handles()
        self._opened: OrderedDict[str, _Opened] = OrderedDict()
        self._tiles: OrderedDict[tuple[str, str, int, int, int], bytes] = OrderedDict()
        self._n_bytes = 0
        self._lock = threading.Lock()
        self._builder = ThreadPoolExecutor(1, thread_name_prefix="pyramid")

    def picture(self, name: str) -> bytes | None:
        """JPEG of the whole slide as the index keeps it, `None` if there is none."""
        slide = self._find(name)
        return None if slide is None else slide.picture

    def show(self, name: str) -> Shown | None:
        """How a slide can be shown, `None` if the index has none of that name; begins to prepare it where needed."""
        slide = self._find(name)
        if slide is None:
            return None
        path = slide.path
        if path is None:
            return Shown("picture", "The index has no image file of this slide; its small picture is shown.")
        try:
            stamp = _stamp(path)
        except OSError:
            return Shown("picture", f"The image {path.name} is not where it was read; its small picture is shown.")
        opened = self._known(name)
        if opened is None or opened.path != path or opened.shown.stamp != stamp:
            opened = self._open(slide, path, stamp)
            self._remember(name, opened)
        return self._settled(opened)

    def tile(self, name: str, stamp: str, level: int, column: int, row: int) -> bytes | None:
        """JPEG of a tile, `None` where there is none or the slide is not ready.

        Raises
        ------
        SlideError
            If the file is damaged at this place.
        """
        key = (name, stamp, level, column, row)
        with self._lock:
            if (kept := self._tiles.get(key)) is not None:
                self._tiles.move_to_end(key)
                return kept
        opened = self._known(name)
        if opened is None or opened.shown.stamp != stamp:
            shown, opened = self.show(name), self._known(name)
        else:
            shown = self._settled(opened)
        if opened is None or shown is None or shown.state != "ready" or shown.tiling is None or shown.stamp != stamp:
            return None
        if not shown.tiling.holds(level, column, row):
            return None
        if opened.pyramid is not None:
            return opened.pyramid.tile(level, column, row)  # in the page cache of the machine: not kept twice
        tile = self._read(opened.path, shown.tiling, level, column, row)
        self._keep(key, tile)
        return tile

    def close(self) -> None:
        """Close all files."""
        self._builder.shutdown(cancel_futures=True)
        self._handles.close()
        for opened in self._opened.values():
            if opened.pyramid is not None:
                opened.pyramid.close()
        self._opened.clear()

    def _open(self, slide: IndexedSlide, path: Path, stamp: str) -> _Opened:
        self._handles.forget(path)
        try:
            with self._handles.borrow(path) as image:
                size, overview = image.size_px, _smallest_level(image)
        except HistoSeekError as error:
            said = str(error).replace(str(path), path.name)
            return _Opened(path, Shown("picture", f"{said} Its small picture is shown.", stamp=stamp))
        if slide.size_px is not None and size != slide.size_px:
            found, meant = ("{} x {}".format(*one) for one in (size, slide.size_px))
            said = f"The image {path.name} has {found} pixels, the indexed one had {meant}; its small picture is shown."
            return _Opened(path, Shown("picture", said, stamp=stamp))
        tiling = Tiling(*size)
        if overview <= _LARGEST_OVERVIEW:
            return _Opened(path, Shown("ready", tiling=tiling, stamp=stamp))
        if size[0] * size[1] > _LARGEST_DECODED:
            said = f"{path.name} has no smaller levels, so it cannot be shown at once. Make a pyramidal TIFF of it."
            return _Opened(path, Shown("picture", f"{said} Its small picture is shown.", stamp=stamp))
        opened = _Opened(path, Shown("preparing", "Preparing this slide for zooming.", tiling, stamp))
        opened.coming = self._builder.submit(self._build, path, stamp)
        return opened

    def _build(self, path: Path, stamp: str) -> Pyramid:
        target = pyramid_path(self._folder, path, stamp)
        if target.is_file():
            target.touch()
        else:
            with self._handles.borrow(path) as image:
                build_pyramid(image, target)
            self._handles.forget(path)  # a flat picture keeps all its pixels
            make_room(self._folder)
        return Pyramid(target)

    def _settled(self, opened: _Opened) -> Shown:
        """How the slide stands now that its pyramid may have come."""
        coming = opened.coming
        if coming is not None and coming.done():
            before = opened.shown
            try:
                opened.pyramid = coming.result()
                opened.shown = Shown("ready", tiling=before.tiling, stamp=before.stamp)
            except (SlideError, OSError) as error:
                said = str(error).replace(str(opened.path), opened.path.name)
                opened.shown = Shown("picture", f"{said} Its small picture is shown.", stamp=before.stamp)
            opened.coming = None
        return opened.shown

    def _read(self, path: Path, tiling: Tiling, level: int, column: int, row: int) -> bytes:
        side = TILE_PX * tiling.scale(level)
        with self._handles.borrow(path) as image:
            pixels = image.read((column + 0.5) * side, (row + 0.5) * side, side, TILE_PX)
        width, height = tiling.tile_size(level, column, row)
        return encode(Image.fromarray(pixels[:height, :width]))

    def _known(self, name: str) -> _Opened | None:
        with self._lock:
            return self._opened.get(name)

    def _remember(self, name: str, opened: _Opened) -> None:
        with self._lock:
            self._opened[name] = opened
            self._opened.move_to_end(name)
            if len(self._opened) > _MOST_SLIDES:
                self._opened.popitem(last=False)

    def _keep(self, key: tuple[str, str, int, int, int], tile: bytes) -> None:
        with self._lock:
            if key not in self._tiles:
                self._tiles[key] = tile
                self._n_bytes += len(tile)
            while self._n_bytes > _MOST_TILE_BYTES:
                self._n_bytes -= len(self._tiles.popitem(last=False)[1])


def _stamp(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_mtime_ns:x}-{stat.st_size:x}"


def _smallest_level(image: SlideImage) -> float:
    """Pixels of the smallest level of a file."""
    width, height = image.size_px
    return width * height / getattr(image, "largest_downsample", 1.0) ** 2
