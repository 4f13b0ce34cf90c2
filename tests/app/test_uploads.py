import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.errors import ShowError
from app.uploads import MAX_PIXELS, as_jpeg, decode_patch


def encoded(picture: Image.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=form)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pictures_become_rgb(form, mode):
    pixels = decode_patch(encoded(Image.new(mode, (30, 20), 100), form))
    assert pixels.shape == (20, 30, 3)
    assert pixels.dtype == np.uint8


def test_colours_stay_in_their_order():
    assert decode_patch(encoded(Image.new("RGB", (4, 4), (200, 100, 50)), "PNG"))[0, 0].tolist() == [200, 100, 50]


@pytest.mark.parametrize("content", [b"", b"hello", b"GIF89a" + b"\0" * 50, b"%PDF-1.4"])
def test_what_is_no_picture_is_refused(content):
    with pytest.raises(ShowError, match="no PNG, JPEG or TIFF"):
        decode_patch(content)


def test_a_gif_is_refused_by_its_content():
    with pytest.raises(ShowError, match="no PNG, JPEG or TIFF"):
        decode_patch(encoded(Image.new("L", (4, 4)), "GIF"))


def test_a_picture_cut_short_is_refused():
    content = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)), "PNG")
    with pytest.raises(ShowError, match="does not decode"):
        decode_patch(content[: len(content) // 2])


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [5_000, 12_000, 60_000])
def test_a_huge_picture_is_refused_before_it_is_decoded(side):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    assert side * side > MAX_PIXELS
    with pytest.raises(ShowError, match="pixels"):
        decode_patch(bomb)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own remarks on broken tags
@given(st.binary(max_size=400), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*"]))
def test_no_content_gets_past_as_another_error(content, head):
    with pytest.raises(ShowError):
        decode_patch(head + content)


def test_the_shown_picture_is_the_central_square():
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 100:200] = 255
    shown = np.asarray(Image.open(io.BytesIO(as_jpeg(pixels, side_px=50))))
    assert shown.shape == (50, 50, 3)
    assert shown[:, 3:-3].min() > 200
