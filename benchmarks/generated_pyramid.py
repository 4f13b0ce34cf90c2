"""A slide like those of Aperio scanners, generated: a pyramid of JPEG tiles of any size, written in seconds.

Tissue is a disc of tiles drawn from a few dozen variants of one texture, on white glass. Each tile of the file is a
JPEG of its own, so reading costs what it costs on a real slide; only the drawing is shared.
"""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

MPP = 0.5
_TILE = 256
_DOWNSAMPLES = (1, 4, 16)
_N_VARIANTS = 48
_QUALITY = 80
#: Number of a type in a TIFF, and its bytes; a value of up to 8 bytes stands in the directory itself.
_TYPES = {"s": (2, 1), "H": (3, 2), "I": (4, 4), "Q": (16, 8)}
_INLINE = 8
_RADIUS = 0.46  # of the tissue, as a share of the side


def write_pyramid(path: Path, side_px: int, *, seed: int = 0) -> Path:
    """Write a slide of `side_px` x `side_px` at 0.5 um per pixel, levels 1, 4 and 16, unless it is there."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    variants = [_glass(), *_variants(_texture(np.random.default_rng(seed)))]
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))
        link = 8  # where the place of the next directory is to be written
        for scale in _DOWNSAMPLES:
            side = side_px // scale
            link = _write_level(file, link, side, _tiles(side, side_px, scale, variants, seed), _description(side_px))
    part.replace(path)
    return path


def _write_level(file: BinaryIO, link: int, side: int, tiles: Iterator[bytes], description: str) -> int:
    """Write the tiles of a level and then its directory (BigTIFF); the place of the link to the next one."""
    offsets, counts = [], []
    for tile in tiles:
        offsets.append(file.tell())
        counts.append(len(tile))
        file.write(tile)
    text = description.encode() + b"\0"
    entries: list[tuple[int, str, bytes]] = [
        (256, "I", struct.pack("<I", side)),
        (257, "I", struct.pack("<I", side)),
        (258, "H", struct.pack("<3H", 8, 8, 8)),
        (259, "H", struct.pack("<H", 7)),  # JPEG
        (262, "H", struct.pack("<H", 6)),  # YCbCr
        (270, "s", text),
        (277, "H", struct.pack("<H", 3)),
        (284, "H", struct.pack("<H", 1)),
        (322, "I", struct.pack("<I", _TILE)),
        (323, "I", struct.pack("<I", _TILE)),
        (324, "Q", struct.pack(f"<{len(offsets)}Q", *offsets)),
        (325, "Q", struct.pack(f"<{len(counts)}Q", *counts)),
        (530, "H", struct.pack("<2H", 2, 2)),
    ]
    placed = []
    for tag, kind, value in entries:
        code, width = _TYPES[kind]
        stored = value
        if len(value) > _INLINE:
            stored = struct.pack("<Q", file.tell())
            file.write(value)
        placed.append(struct.pack("<HHQ8s", tag, code, len(value) // width, stored.ljust(8, b"\0")))
    start = file.tell()
    file.write(struct.pack("<Q", len(placed)) + b"".join(placed) + struct.pack("<Q", 0))
    end = file.tell()
    file.seek(link)
    file.write(struct.pack("<Q", start))
    file.seek(end)
    return end - 8


def _description(side_px: int) -> str:
    return f"Aperio Image Library v12.0.0\r\n{side_px}x{side_px} generated|AppMag = 20|MPP = {MPP}"


def _tiles(side: int, side_px: int, scale: int, variants: list[Pixels], seed: int) -> Iterator[bytes]:
    """The tiles of a level as JPEGs, row by row; equal ones are compressed once."""
    small = [np.asarray(Image.fromarray(one).reduce(scale)) for one in variants]
    chosen = _chosen(-(-side_px // _TILE), seed)
    compressed: dict[bytes, bytes] = {}
    n = -(-side // _TILE)
    for y in range(n):
        for x in range(n):
            block = chosen[y * scale : (y + 1) * scale, x * scale : (x + 1) * scale]
            key = block.tobytes() + bytes(block.shape)
            if key not in compressed:
                compressed[key] = _jpeg(_assembled(block, small))
            yield compressed[key]


def _assembled(block: npt.NDArray[np.int64], small: list[Pixels]) -> Pixels:
    """A tile put together from shrunken tiles, white where the slide ends."""
    tile = np.full((_TILE, _TILE, 3), 244, dtype=np.uint8)
    step = len(small[0])
    for (row, column), variant in np.ndenumerate(block):
        tile[row * step : (row + 1) * step, column * step : (column + 1) * step] = small[variant]
    return tile


def _chosen(n: int, seed: int) -> npt.NDArray[np.int64]:
    """Which variant each level-0 tile shows, int64 (n, n); 0 is glass."""
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    inside = np.hypot(x, y) < _RADIUS * n
    drawn = np.random.default_rng(seed + 1).integers(1, _N_VARIANTS + 1, (n, n))
    return np.where(inside, drawn, 0)


def _variants(texture: Pixels) -> Iterator[Pixels]:
    rng = np.random.default_rng(2)
    for _ in range(_N_VARIANTS):
        y, x = rng.integers(0, len(texture) - _TILE, 2)
        yield np.ascontiguousarray(np.rot90(texture[y : y + _TILE, x : x + _TILE], int(rng.integers(4))))


def _texture(rng: np.random.Generator) -> Pixels:
    """Eosin of uneven strength with haematoxylin nuclei about 7 um wide."""
    from scipy.ndimage import gaussian_filter

    side = 1024
    fibres = gaussian_filter(rng.normal(size=(side, side)), (2, 9)) * 9
    seeds = np.zeros((side, side))
    seeds[rng.integers(0, side, 3000), rng.integers(0, side, 3000)] = 1
    nuclei = np.clip(gaussian_filter(seeds, 4.5) * 120, 0, 1)[..., None]
    pink = np.array([224.0, 150.0, 190.0]) + fibres[..., None] * np.array([8.0, 22.0, 12.0])
    mixed = pink * (1 - nuclei) + np.array([92.0, 60.0, 140.0]) * nuclei + rng.normal(0, 4, (side, side, 1))
    return np.asarray(np.clip(mixed, 0, 255), dtype=np.uint8)


def _glass() -> Pixels:
    return np.full((_TILE, _TILE, 3), 244, dtype=np.uint8)


def _jpeg(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY, subsampling=2)
    return buffer.getvalue()
