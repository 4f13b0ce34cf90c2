"""Pixels by their centre: flat pictures and OpenSlide pyramids answer alike."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from indexer.errors import SlideError
from indexer.readers import flat_image
from indexer.readers.flat_image import FlatImage
from indexer.readers.openslide_image import OpenSlideImage, OpenSlideSlide

WIDTH, HEIGHT = 90, 70


def coordinates() -> np.ndarray:
    """Picture whose red is x and green is y."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x, y, np.full_like(x, 7)], axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def flat(tmp_path_factory) -> FlatImage:
    path = tmp_path_factory.mktemp("flat") / "a.png"
    Image.fromarray(coordinates()).save(path)
    return FlatImage(path)


@pytest.fixture(scope="module")
def tiled(tmp_path_factory) -> OpenSlideImage:
    """The same picture as a tiled TIFF, which OpenSlide reads without an mpp."""
    tifffile = pytest.importorskip("tifffile", reason="no writer of tiled TIFF here")
    path = tmp_path_factory.mktemp("tiled") / "a.tiff"
    tifffile.imwrite(path, coordinates(), tile=(32, 32), photometric="rgb")
    return OpenSlideImage(path)


@pytest.fixture(scope="module")
def striped(tmp_path_factory) -> tuple[OpenSlideImage, OpenSlideImage]:
    """A slide of several blocks, which does and does not keep those it decoded."""
    tifffile = pytest.importorskip("tifffile", reason="no writer of tiled TIFF here")
    path = tmp_path_factory.mktemp("striped") / "a.tiff"
    pixels = np.random.default_rng(0).integers(0, 255, (500, 600, 3), dtype=np.uint8)
    tifffile.imwrite(path, pixels, tile=(128, 128), photometric="rgb")
    direct = OpenSlideImage(path)
    direct._blocks = None
    return OpenSlideImage(path), direct


@given(x=st.integers(0, WIDTH), y=st.integers(0, HEIGHT), half=st.integers(1, 12))
def test_a_square_is_centred_and_white_outside(flat, x, y, half):
    got = flat.read(x, y, 2 * half, 2 * half)
    padded = np.pad(coordinates(), ((12, 12), (12, 12), (0, 0)), constant_values=255)
    expected = padded[y - half + 12 : y + half + 12, x - half + 12 : x + half + 12]
    assert got.shape == (2 * half, 2 * half, 3)
    assert (got == expected).all()


@given(x=st.floats(20, 70), y=st.floats(20, 50), side=st.floats(4, 30), out=st.integers(1, 40))
def test_any_centre_and_scale(flat, x, y, side, out):
    got = flat.read(x, y, side, out).astype(float)
    assert got.shape == (out, out, 3)
    # The mean of red over the square is the mean x of its pixels: their centres lie half a pixel from their numbers.
    assert got[..., 0].mean() == pytest.approx(x - 0.5, abs=1.0)
    assert got[..., 1].mean() == pytest.approx(y - 0.5, abs=1.0)
    assert (np.diff(got[..., 0], axis=1) >= 0).all()
    assert (np.diff(got[..., 1], axis=0) >= 0).all()


@given(x=st.floats(-20, 110), y=st.floats(-20, 90), side=st.floats(2, 30), out=st.integers(1, 32))
def test_flat_and_tiled_agree(flat, tiled, x, y, side, out):
    one, other = flat.read(x, y, side, out).astype(int), tiled.read(x, y, side, out).astype(int)
    assert np.abs(one - other).max() <= 1


@given(x=st.floats(-20, 620), y=st.floats(-20, 520), side=st.floats(2, 300))
def test_kept_blocks_change_no_pixel(striped, x, y, side):
    image, direct = striped
    assert (image.read(x, y, side, 32) == direct.read(x, y, side, 32)).all()


def test_overlapping_squares_decode_a_block_once(striped, monkeypatch):
    image, _ = striped
    image._blocks.clear()
    decoded = []
    monkeypatch.setattr(image._blocks, "_read", lambda *region: decoded.append(region) or image._decoded(0, *region))
    for x in range(100, 500, 20):
        image.read(x, 200, 150, 64)
    assert len(decoded) == len(set(decoded)) <= 9


def test_far_outside_is_white(flat, tiled):
    for image in (flat, tiled):
        assert (image.read(-500, 900, 10, 5) == 255).all()


def test_thumbnails(flat, tiled):
    for image in (flat, tiled):
        small = image.thumbnail(45)
        assert small.shape == (35, 45, 3)
        assert small[10, 20, 0] == pytest.approx(40.5, abs=1)
        assert image.thumbnail(5_000).shape == (HEIGHT, WIDTH, 3)


def test_a_closed_flat_image_decodes_again(flat):
    before = flat.read(40, 40, 8, 8)
    flat.close()
    assert (flat.read(40, 40, 8, 8) == before).all()


def test_alpha_and_grey_become_rgb(tmp_path):
    Image.new("L", (20, 20), 99).save(tmp_path / "grey.png")
    assert (FlatImage(tmp_path / "grey.png").read(10, 10, 4, 4) == 99).all()


def test_the_bound_of_flat_images(tmp_path, monkeypatch):
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    monkeypatch.setattr(flat_image, "MAX_PIXELS", 399)
    with pytest.raises(SlideError, match=r"20 x 20 pixels; expected at most 399"):
        FlatImage(tmp_path / "a.png")


def test_the_bound_of_pillow_stays(tmp_path, monkeypatch):
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 250)  # 400 pixels: a warning, which is ours to replace
    assert FlatImage(tmp_path / "a.png").read(10, 10, 4, 4).shape == (4, 4, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 150)  # more than twice the limit: refused
    with pytest.raises(SlideError, match="decompression bomb"):
        FlatImage(tmp_path / "a.png")


def test_mpp_is_asked_for_where_the_file_has_none(tiled, facts):
    slide = OpenSlideSlide(replace(facts, mpp=None, mpp_source=None), tiled._path)
    assert slide.facts.mpp is None
    with pytest.raises(SlideError, match=r"micrometres per pixel.*`mpp` of the slide in the manifest"):
        slide.open_image()
    assert OpenSlideSlide(facts, tiled._path).open_image().size_px == (WIDTH, HEIGHT)


def test_what_openslide_cannot_read(tmp_path, facts):
    (tmp_path / "a.svs").write_bytes(b"nothing")
    unknown = replace(facts, mpp=None, mpp_source=None)
    slide = OpenSlideSlide(unknown, tmp_path / "a.svs")
    assert slide.facts == unknown
    with pytest.raises(SlideError, match="OpenSlide cannot read"):
        slide.open_image()
    with pytest.raises(SlideError, match="is missing"):
        OpenSlideImage(tmp_path / "b.svs")


@pytest.mark.real
def test_a_real_whole_slide_image(mirror):
    from indexer.datasets.manifest import load_manifest
    from indexer.sources import open_sources

    (slide,) = open_sources("cmu1", manifest=load_manifest())
    assert (slide.facts.mpp, slide.facts.mpp_source) == (pytest.approx(0.499), "file")
    assert slide.read_expression() is None
    image = slide.open_image()
    assert image.size_px == (2220, 2967)
    whole = image.read(1110, 1483.5, 512, 256)
    corner = image.read(1110 - 128, 1483.5 - 128, 256, 128)
    assert np.abs(whole[:128, :128].astype(int) - corner.astype(int))[2:-2, 2:-2].max() <= 2
    assert (image.read(0, 0, 200, 50)[:24, :24] == 255).all()
    image.close()
