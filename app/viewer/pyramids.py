"""Pyramids on disk for slides that are stored without one: decoded once, read by tile ever after."""

import hashlib
import io
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from app.viewer.tiling import TILE_PX, Tiling
from indexer.slides import SlideImage

#: Of all pyramids together; the ones unused for longest make room.
MOST_BYTES = 4 * 2**30
_QUALITY = 85
_FORMAT = 1  # part of a pyramid's name: another layout makes another file


def encode(picture: Image.Image) -> bytes:
    """JPEG of a tile."""
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=_QUALITY)
    return buffer.getvalue()


class Pyramid:
    """Tiles of a picture in one SQLite file; may be read by several threads.

    Parameters
    ----------
    path : Path
        Made by `build_pyramid`.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)

    def tile(self, level: int, column: int, row: int) -> bytes | None:
        """JPEG of a tile, `None` if there is no such tile."""
        asked = "SELECT jpeg FROM tiles WHERE level = ? AND x = ? AND y = ?"
        with self._lock:
            found = self._file.execute(asked, (level, column, row)).fetchone()
        return None if found is None else bytes(found[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()


def pyramid_path(folder: Path, picture: Path, stamp: str) -> Path:
    """Where the pyramid of a picture lies, by the picture's path and what changes when it does."""
    said = f"{_FORMAT}|{TILE_PX}|{_QUALITY}|{picture.resolve()}|{stamp}"
    return folder / f"{hashlib.sha256(said.encode()).hexdigest()[:32]}.sqlite"


def build_pyramid(image: SlideImage, path: Path) -> None:
    """Write all tiles of a picture; the file appears when it is complete.

    Of each level no more than two rows of tiles are held at a time.

    Raises
    ------
    SlideError
        If the picture cannot be decoded.
    OSError
        If the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        file = sqlite3.connect(part)
        try:
            file.execute("PRAGMA synchronous = OFF")  # a part that a crash leaves is never read
            file.execute("CREATE TABLE tiles (level, x, y, jpeg BLOB, PRIMARY KEY (level, x, y)) WITHOUT ROWID")
            for _ in _bands(image, Tiling(*image.size_px), 0, file):
                pass
            file.commit()
        finally:
            file.close()
        part.replace(path)
    except sqlite3.Error as error:  # a full disk, a folder that went away
        raise OSError(f"Cannot write {path}: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def make_room(folder: Path, most_bytes: int = MOST_BYTES) -> None:
    """Delete the pyramids used least recently until the others take up at most `most_bytes`."""
    files = sorted(((path.stat(), path) for path in folder.glob("*.sqlite")), key=lambda one: one[0].st_mtime)
    surplus = sum(stat.st_size for stat, _ in files) - most_bytes
    for stat, path in files:
        if surplus <= 0:
            return
        path.unlink(missing_ok=True)
        surplus -= stat.st_size


def _bands(image: SlideImage, tiling: Tiling, level: int, file: sqlite3.Connection) -> Iterator[Image.Image]:
    """Rows of tiles of a level from the top down, each written as it passes; made of two rows of the level above."""
    rows = _top_bands(image, tiling) if level == tiling.top else _halved(_bands(image, tiling, level + 1, file))
    for row, band in enumerate(rows):
        for column in range(tiling.grid(level)[0]):
            width, height = tiling.tile_size(level, column, row)
            tile = band.crop((column * TILE_PX, 0, column * TILE_PX + width, height))
            file.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", (level, column, row, encode(tile)))
        yield band


def _top_bands(image: SlideImage, tiling: Tiling) -> Iterator[Image.Image]:
    columns, rows = tiling.grid(tiling.top)
    for row in range(rows):
        height = tiling.tile_size(tiling.top, 0, row)[1]
        squares = [
            image.read((column + 0.5) * TILE_PX, (row + 0.5) * TILE_PX, TILE_PX, TILE_PX)[:height]
            for column in range(columns)
        ]
        yield Image.fromarray(np.concatenate(squares, axis=1)[:, : tiling.width_px])


def _halved(bands: Iterator[Image.Image]) -> Iterator[Image.Image]:
    for upper in bands:
        lower = next(bands, None)
        if lower is None:
            yield upper.reduce(2)
            continue
        both = Image.new("RGB", (upper.width, upper.height + lower.height))
        both.paste(upper, (0, 0))
        both.paste(lower, (0, upper.height))
        yield both.reduce(2)
