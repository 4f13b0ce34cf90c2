"""Slides and tables as they go wrong in the world: each with what is said of it."""

import gzip
import io
import struct
import zipfile
import zlib

import numpy as np
import tifffile
from PIL import Image

SVS = "Aperio Image Library v12\n400x300 [0,0 400x300] (128x128)|AppMag = 20|MPP = 1.0"


def tissue(seed=0, size=(400, 300)):
    """A pink field with texture on glass."""
    pixels = np.full((size[1], size[0], 3), 244, dtype=np.int64)
    noise = np.random.default_rng(seed).normal(0, 20, (size[1] - 60, size[0] - 60, 1))
    pixels[30:-30, 30:-30] = np.clip(np.array([200, 110, 170]) + noise, 0, 255)
    return pixels.astype(np.uint8)


def write_svs(path):
    tifffile.imwrite(path, tissue(), photometric="rgb", tile=(128, 128), description=SVS, metadata=None)


def write_truncated_svs(path):
    write_svs(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_zip(path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../etc/evil", bytes(10**6))
    path.write_bytes(content.getvalue())


def write_png_bomb(path):
    """A header of 60,000 x 60,000 pixels over a few bytes."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))))


def write_tiff_bomb(path):
    """A tile of 64 x 64 pixels that unpacks to 300 MB."""
    packer = zlib.compressobj()
    bomb = b"".join([*(packer.compress(bytes(10**7)) for _ in range(30)), packer.flush()])
    options = {"photometric": "rgb", "tile": (64, 64), "compression": "zlib", "metadata": {"axes": "YXS"}}
    tifffile.imwrite(path, np.zeros((64, 64, 3), np.uint8), ome=True, **options)
    with tifffile.TiffFile(path, mode="r+b") as file:
        page = file.pages[0]
        place = path.stat().st_size
        page.tags["TileOffsets"].overwrite(place)
        page.tags["TileByteCounts"].overwrite(len(bomb))
    with path.open("ab") as stream:
        stream.write(bomb)


def write_tiff(path, pixels, **options):
    tifffile.imwrite(path, pixels, **({"photometric": "rgb", "rowsperstrip": 16} | options))


def save(mode, size=(400, 300)):
    return lambda path: Image.new(mode, size).save(path)


#: File, how it is written, whether the table says its mpp, and what is said of it.
SLIDES = {
    "truncated.svs": (write_truncated_svs, True, "Cannot hash TIFF tiles: Short read"),
    "text.svs": (lambda path: path.write_text("no slide, a text"), True, "is text, no picture"),
    "empty.svs": (lambda path: path.write_bytes(b""), True, "OpenSlide cannot read .*it is empty .0 bytes."),
    "page.ndpi": (lambda path: path.write_text("<!DOCTYPE html><p>Log in"), True, "is a web page"),
    "noise.scn": (lambda path: path.write_bytes(bytes(range(256)) * 9), True, "Unsupported or missing image file"),
    "empty.png": (lambda path: path.write_bytes(b""), True, "expected a PNG or JPEG; it is empty"),
    "archive.svs": (write_zip, True, "is a zip archive; unpack it"),
    "alone.mrxs": (lambda path: path.write_bytes(b"\xff\xd8"), True, "in the folder alone beside it"),
    "dot.png": (save("RGB", (1, 1)), True, "has 1 x 1 px, less than one tile"),
    "glass.png": (save("L"), True, "no tissue was found"),
    "cmyk.tif": (lambda p: write_tiff(p, np.zeros((64, 64, 4), np.uint8), photometric="separated"), True, "SEPARATED"),
    "cmyk.jpg": (save("CMYK"), True, "mode CMYK"),
    "deep.tif": (lambda path: write_tiff(path, tissue().astype(np.uint16)), True, "of uint16 a pixel"),
    "deep.png": (save("I;16"), True, "mode I;16"),
    "scaleless.png": (lambda path: Image.fromarray(tissue()).save(path), False, "has mpp None.*column `mpp`"),
    "screen.tif": (
        lambda path: write_tiff(path, tissue(), resolution=(72, 72), resolutionunit=2),
        False,
        "has mpp 352.778 .file., which no microscope has",
    ),
    "huge.png": (write_png_bomb, True, "decompression bomb|expected at most 150,000,000"),
    "bomb.ome.tif": (write_tiff_bomb, True, "unpacks to more than its 12,288 bytes"),
    "broken.jpg": (lambda path: path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(50)), True, "not an image|Cannot read"),
}
for _name in ("deep.png", "empty.png", "cmyk.jpg"):  # beside others of their stem
    SLIDES[f"flat_{_name}"] = SLIDES.pop(_name)

GENES = [f"G{i}" for i in range(8)]


def table(values="1\t2", header="gene\tA\tB"):
    return "\n".join([header, *(f"{gene}\t{values}" for gene in GENES)]).encode()


#: Tables of samples, and what is said of each.
TABLES = {
    "zero.tsv": (b"", "names|no gene|Cannot read|has 0 samples"),
    "word.tsv": (table("x\t2", "gene\tC\tD"), "got 'x'; expected a number"),
    "gap.tsv": (table("\t2", "gene\tE\tF"), "got ''; expected a number"),
    "negative.tsv": (table("1\t-2", "gene\tG\tH"), "got -2; expected a finite amount"),
    "nan.tsv": (table("nan\t2", "gene\tI\tJ"), "got nan; expected a finite amount"),
    "infinite.tsv": (table("inf\t2", "gene\tK\tL"), "got inf; expected a finite amount"),
    "twice.tsv": (table(header="gene\tM\tM"), "repeated: M"),
    "cut.tsv.gz": (gzip.compress(table(header="gene\tO\tP"))[:-12], "Cannot read"),
    "bomb.tsv.gz": (gzip.compress(b"1\t" * 20_000_000, 9), "more than 33,554,432 letters"),
    "picture.tsv": (b"\x89PNG\r\n\x1a\n\xff\xfe", "Cannot read"),
}
