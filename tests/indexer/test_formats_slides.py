"""OME-TIFF and generic TIFFs by region, and slides whose micrometres per pixel are missing or absurd."""

from contextlib import closing

import numpy as np
import pytest
import tifffile

from indexer.building.checks import mpp_of
from indexer.errors import DataError, SlideError
from indexer.formats import find_slides
from indexer.readers.flat_image import cut_square
from indexer.readers.openslide_image import OpenSlideImage
from indexer.readers.pictures import open_picture, picture_mpp
from indexer.readers.tiff_image import TiffImage

SIZE = (1000, 700)


def painted():
    """Red grows with x, green with y, so a pixel tells where it is."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    return np.stack([x // 4, y // 4, np.full_like(x, 128)], axis=2).astype(np.uint8)


def write_ome(path, *, mpp=0.5, unit="µm", levels=3, **options):
    pixels = painted()
    sizes = {} if mpp is None else dict.fromkeys(("PhysicalSizeX", "PhysicalSizeY"), mpp)
    units = {} if mpp is None else dict.fromkeys(("PhysicalSizeXUnit", "PhysicalSizeYUnit"), unit)
    options = {"tile": (128, 128), "compression": "zlib", "photometric": "rgb"} | options
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(pixels, subifds=levels - 1, metadata={"axes": "YXS", **sizes, **units}, **options)
        for level in range(1, levels):
            file.write(pixels[:: 2**level, :: 2**level], subfiletype=1, **options)
    return path


def test_ome_tiff_is_read_by_region_from_the_best_level(tmp_path):
    image = open_picture(write_ome(tmp_path / "a.ome.tif"))
    assert isinstance(image, TiffImage)
    assert image.size_px == SIZE
    assert image.mpp == 0.5
    from PIL import Image

    whole = Image.fromarray(painted())
    for x, y, side in ((500, 350, 64), (500.5, 349.5, 63), (3, 3, 100), (998, 690, 80)):
        np.testing.assert_array_equal(image.read(x, y, side, 64), cut_square(whole, x, y, side, 64))
    coarse = image.read(500, 350, 400, 100)  # from the level of a fourth
    assert abs(int(coarse[50, 50, 0]) - 125) <= 2
    assert image.thumbnail(250).shape == (175, 250, 3)
    image.close()


def test_only_the_tiles_asked_for_are_decoded(tmp_path, monkeypatch):
    image = TiffImage(write_ome(tmp_path / "a.ome.tif"))
    decoded = []
    real = TiffImage._segment
    monkeypatch.setattr(TiffImage, "_segment", lambda self, page, n: decoded.append(n) or real(self, page, n))
    image.read(192, 192, 100, 100)  # within the second tile of the second row, of eight a row
    assert decoded == [9]
    image.close()


@pytest.mark.parametrize(("mpp", "unit", "found"), [(250, "nm", 0.25), (None, "", None), (0.0005, "mm", 0.5)])
def test_mpp_of_ome_in_any_unit(tmp_path, mpp, unit, found):
    assert picture_mpp(write_ome(tmp_path / "a.ome.tif", mpp=mpp, unit=unit)) == found


@pytest.mark.parametrize("tiled", [True, False], ids=["tiles", "strips"])
def test_a_plain_tiff_goes_to_whoever_knows_it(tmp_path, tiled):
    path = tmp_path / "a.tif"
    options = {"tile": (128, 128)} if tiled else {"rowsperstrip": 50}
    tifffile.imwrite(path, painted(), photometric="rgb", resolution=(20_000, 20_000), resolutionunit=3, **options)
    image = open_picture(path)
    assert isinstance(image, OpenSlideImage if tiled else TiffImage)
    assert tuple(image.read(400, 200, 8, 8)[4, 4]) == (100, 50, 128)
    assert picture_mpp(path) == pytest.approx(0.5)  # 20,000 pixels a centimetre
    image.close()


@pytest.mark.parametrize(("mpp", "reason"), [(None, "has mpp None"), (352.8, "which no microscope has")])
def test_mpp_that_is_missing_or_absurd_is_refused_with_how_to_give_it(tmp_path, mpp, reason):
    write_ome(tmp_path / "a.ome.tif", mpp=mpp)
    (slide,) = find_slides(tmp_path, "slides")
    assert slide.facts.slide == "a"
    with pytest.raises(SlideError, match=f"{reason}.*column `mpp` of the table given with --slides"):
        mpp_of(slide.facts)


def cut(path):
    path.write_bytes(path.read_bytes()[:-20_000])


def flip(path):
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        start = file.series[0].keyframe.dataoffsets[0]
    content[start : start + 40] = b"\0" * 40
    path.write_bytes(content)


BROKEN = {
    "text": (lambda path: path.write_text("no slide"), "no TIFF that can be read"),
    "nothing": (lambda path: path.write_bytes(b""), "no TIFF that can be read"),
    "damaged tile": (flip, "Cannot decode tile 0"),
    "16 bit": (
        lambda path: tifffile.imwrite(path, painted().astype(np.uint16), photometric="rgb"),
        "of uint16 a pixel",
    ),
    "grey": (lambda path: tifffile.imwrite(path, painted()[..., 0]), "1 samples of uint8 a pixel, MINISBLACK"),
    "CMYK": (
        lambda path: tifffile.imwrite(path, np.zeros((64, 64, 4), np.uint8), photometric="separated"),
        "4 samples of uint8 a pixel, SEPARATED",
    ),
    "cut": (cut, "cut short|damaged|no TIFF that can be read"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_damaged_tiff_says_its_own_reason(tmp_path, fault):
    path = write_ome(tmp_path / "a.ome.tif", levels=1, compression=None if fault == "cut" else "zlib")
    harm, reason = BROKEN[fault]
    harm(path)
    (slide,) = find_slides(tmp_path, "slides")
    assert slide.facts.slide == "a"
    with pytest.raises(SlideError, match=reason), closing(slide.open_image()) as image:
        image.read(600, 600, 1400, 64)


def test_a_codec_that_is_not_installed_is_named(tmp_path, monkeypatch):
    path = write_ome(tmp_path / "a.ome.tif", levels=1)
    monkeypatch.setattr(tifffile.TIFF, "DECOMPRESSORS", ())
    with pytest.raises(SlideError, match=r"ADOBE_DEFLATE, which needs the package imagecodecs: .*histoseek\[tiff\]"):
        TiffImage(path)


def test_links_out_of_the_folder_and_hidden_files_are_not_followed(tmp_path):
    write_ome(tmp_path / "out.ome.tif", levels=1)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "link.ome.tif").symlink_to(tmp_path / "out.ome.tif")
    (folder / "._a.tif").write_bytes(b"x")
    with pytest.raises(DataError, match="holds no file that ends in"):
        find_slides(folder, "slides")
