"""Uploads that no honest caller sends: broken, oversized and disguised pictures, and numbers that are none."""

import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

_SIDE = 420  # pixels at 1 um/px: more than any encoder here looks at


@dataclass(frozen=True, slots=True)
class Upload:
    """A file with the fields sent beside it."""

    name: str
    content: bytes
    fields: dict[str, str]
    file_name: str = "tile.png"
    media_type: str = "image/png"


def hostile_uploads(n: int, seed: int = 0) -> Iterator[Upload]:
    """`n` uploads, each kind in turn, varied by a generator of fixed seed."""
    random = np.random.default_rng(seed)
    for number in range(n):
        kind = number % len(_KINDS)
        name, make = _KINDS[kind]
        yield make(name, random)


def honest_upload() -> Upload:
    """A tile that is answered."""
    return Upload("honest", _png(np.random.default_rng(1)), {"mpp": "1.0"})


def _png(random: np.random.Generator, side: int = _SIDE, kind: str = "PNG", mode: str = "RGB") -> bytes:
    coarse = random.integers(0, 255, (side // 20, side // 20, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((side, side)).convert(mode).save(buffer, format=kind)
    return buffer.getvalue()


def _truncated(name: str, random: np.random.Generator) -> Upload:
    content = _png(random, kind=str(random.choice(["PNG", "JPEG", "TIFF"])))
    return Upload(name, content[: int(random.integers(0, len(content)))], {"mpp": "1"})


def _flipped(name: str, random: np.random.Generator) -> Upload:
    content = bytearray(_png(random, kind=str(random.choice(["PNG", "JPEG", "TIFF"]))))
    for place in random.integers(0, min(len(content), int(random.choice([64, 512, 100_000]))), 8):
        content[place] = int(random.integers(0, 256))
    return Upload(name, bytes(content), {"mpp": "1"})


def _polyglot(name: str, random: np.random.Generator) -> Upload:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("../../outside.txt", "written")
        archive.writestr("index.html", "<script>alert(1)</script>")
    return Upload(name, _png(random) + held.getvalue(), {"mpp": "1"}, "tile.png.zip")


def _zip_bomb(name: str, random: np.random.Generator) -> Upload:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * int(random.integers(1_000_000, 5_000_000)))
    return Upload(name, held.getvalue(), {"mpp": "1"})


def _huge_header(name: str, random: np.random.Generator) -> Upload:
    side = int(random.choice([100_000, 60_000, 2**31 - 1, 2**32 - 1, 0]))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 10_000)
    content = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    return Upload(name, content, {"mpp": "1"})


def _pixel_bomb(name: str, random: np.random.Generator) -> Upload:
    side = int(random.integers(4_100, 5_000))
    rows = zlib.compressobj(1)
    data = b"".join(rows.compress(b"\0" * (side * 3 + 1)) for _ in range(side)) + rows.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    return Upload(name, content, {"mpp": "1"})


def _text_bomb(name: str, random: np.random.Generator) -> Upload:
    text = b"comment\0\0" + zlib.compress(b"A" * int(random.integers(1_000_000, 20_000_000)), 1)
    content = _png(random)
    return Upload(name, content[:33] + _chunk(b"zTXt", text) + content[33:], {"mpp": "1"})


def _svg(name: str, random: np.random.Generator) -> Upload:
    entity = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, int(random.integers(2, 10))))
    content = f'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a0 SYSTEM "file:///etc/passwd">{entity}]><svg>&a1;</svg>'
    return Upload(name, content.encode(), {"mpp": "1"}, "tile.svg", "image/svg+xml")


class _Harm:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, ...]]:
        return (open, ("histoseek-was-unpickled", "w"))


def _pickled(name: str, random: np.random.Generator) -> Upload:
    return Upload(name, pickle.dumps(_Harm(), protocol=int(random.integers(0, 6))), {"mpp": "1"}, "tile.pkl")


def _noise(name: str, random: np.random.Generator) -> Upload:
    start = bytes(random.choice([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"MM\0*", b"GIF89a", b"BM"]))
    return Upload(name, start + random.bytes(int(random.integers(0, 5_000))), {"mpp": "1"})


def _wrong_mpp(name: str, random: np.random.Generator) -> Upload:
    mpp = random.choice(
        ["nan", "inf", "-inf", "-1", "0", "1e-320", "1e308", "", "0.5 um", "0x1", "1,5", "\u0665", "0.001"]
    )
    return Upload(name, _png(random), {"mpp": str(mpp)})


def _wrong_field(name: str, random: np.random.Generator) -> Upload:
    fields = [
        {"k": "-1"},
        {"k": "1e9"},
        {"k": "NaN"},
        {"offset": "-5"},
        {"where": "'; DROP TABLE items; --"},
        {"where": "repeat(slide, 1000000000) = 'x'"},
        {"where": "(" * 900},
        {"from_slide": "../../etc/passwd"},
        {"from_slide": "\0"},
        {"min_score": "nan"},
        {"target": "../image"},
        {"image_path": "/etc/passwd"},
        {"kind": "__class__"},
        {"exclude": "\ud7ff" * 500},
    ]
    return Upload(name, _png(random), {"mpp": "1"} | fields[int(random.integers(len(fields)))])


def _wrong_name(name: str, random: np.random.Generator) -> Upload:
    names = ["../../../tmp/x.png", "C:\\x.png", "a" * 3_000, "x.png;rm -rf", "%00.png", ".htaccess", "x.py"]
    kinds = ["application/x-python", "text/html", "image/svg+xml", "multipart/form-data", "a/b; charset=\\"]
    return Upload(name, _png(random), {"mpp": "1"}, str(random.choice(names)), str(random.choice(kinds)))


def _odd_mode(name: str, random: np.random.Generator) -> Upload:
    kind, mode = [
        ("PNG", "1"),
        ("PNG", "P"),
        ("PNG", "LA"),
        ("TIFF", "F"),
        ("TIFF", "I"),
        ("JPEG", "CMYK"),
        ("TIFF", "L"),
    ][int(random.integers(7))]
    return Upload(name, _png(random, kind=kind, mode=mode), {"mpp": "1"})


def _other_format(name: str, random: np.random.Generator) -> Upload:
    kind = str(random.choice(["GIF", "BMP", "PPM", "ICO", "WEBP", "PDF"]))
    return Upload(name, _png(random, side=200, kind=kind), {"mpp": "1"}, f"tile.{kind.lower()}")


def _sliver(name: str, random: np.random.Generator) -> Upload:
    width, height = [(1, 1), (1, 60_000), (60_000, 1), (3, 3), (4_000, 2)][int(random.integers(5))]
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, format="PNG")
    return Upload(name, buffer.getvalue(), {"mpp": "1"})


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_KINDS: tuple[tuple[str, Callable[[str, np.random.Generator], Upload]], ...] = (
    ("truncated", _truncated),
    ("flipped bytes", _flipped),
    ("polyglot", _polyglot),
    ("zip bomb", _zip_bomb),
    ("huge header", _huge_header),
    ("pixel bomb", _pixel_bomb),
    ("text bomb", _text_bomb),
    ("svg", _svg),
    ("pickle", _pickled),
    ("noise", _noise),
    ("wrong mpp", _wrong_mpp),
    ("wrong field", _wrong_field),
    ("wrong name", _wrong_name),
    ("odd mode", _odd_mode),
    ("other format", _other_format),
    ("sliver", _sliver),
)
