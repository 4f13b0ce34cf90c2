"""Slides of several files, generic pyramids, and flat TIFFs too large to hold."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
import tifffile

from indexer.errors import SlideError
from indexer.formats import find_slides
from indexer.readers import overviews, tiff_image
from indexer.readers.flat_image import shrink
from indexer.readers.openslide_image import OpenSlideImage
from indexer.readers.pictures import open_picture, picture_mpp
from indexer.readers.tiff_image import TiffImage
from tests.indexer.test_formats_slides import SIZE, painted
from tests.indexer.written_dicom import write_dicom_level


def write_dicom(folder):
    write_dicom_level(folder / "level0.dcm", painted(), mpp=0.25)
    write_dicom_level(folder / "level1.dcm", painted()[::2, ::2], mpp=0.5, number=2)
    return folder


def test_a_folder_of_dicom_is_one_slide(tmp_path):
    write_dicom(tmp_path / "run" / "S1")
    write_dicom(tmp_path / "run" / "S2")
    first, second = find_slides(tmp_path / "run", "slides")
    assert (first.facts.slide, first.facts.mpp, first.facts.mpp_source) == ("S1", 0.25, "file")
    assert [path.name for path in second.files] == ["level0.dcm", "level1.dcm"]
    with closing(first.open_image()) as image:
        assert image.size_px == SIZE
        assert tuple(image.read(400, 200, 8, 8)[4, 4]) == (100, 50, 128)
        assert image.thumbnail(250).shape == (175, 250, 3)
    (alone,) = find_slides(tmp_path / "run" / "S1", "slides")
    assert alone.facts.slide == "S1"
    with pytest.raises(SlideError, match=r"holds no \.dcm file"):
        open_picture(tmp_path)


def test_the_head_of_an_mrxs_alone_is_told(tmp_path):
    (tmp_path / "S.mrxs").write_bytes(b"\xff\xd8")
    (slide,) = find_slides(tmp_path, "slides")
    with pytest.raises(SlideError, match="its pixels are in the folder S beside it"):
        slide.open_image()
    (tmp_path / "S").mkdir()
    (tmp_path / "S" / "Data0000.dat").write_bytes(b"x")
    (slide,) = find_slides(tmp_path, "slides")
    assert [path.name for path in slide.files] == ["S.mrxs", "Data0000.dat"]
    with pytest.raises(SlideError, match="OpenSlide cannot read"):
        slide.open_image()


def test_pictures_that_a_vms_names_are_no_slides(tmp_path):
    for name in ("S.jpg", "S_map2.jpg", "S_macro.jpg", "other.jpg"):
        (tmp_path / name).write_bytes(b"x")
    lines = ("[Virtual Microscope Specimen]", "ImageFile=S.jpg", "MapFile=S_map2.jpg", "MacroImage=S_macro.jpg")
    (tmp_path / "S.vms").write_text("\n".join([*lines, "OptimisationFile=../../etc/passwd"]))
    slides = find_slides(tmp_path, "slides")
    assert [slide.facts.slide for slide in slides] == ["S", "other"]
    assert [path.name for path in slides[0].files] == ["S.vms", "S.jpg", "S_map2.jpg", "S_macro.jpg"]


def test_a_pyramid_of_pages_that_nobody_declared(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for step in (1, 2, 4):
            file.write(painted()[::step, ::step], photometric="rgb", rowsperstrip=16, metadata=None)
        file.write(painted()[:60, :200], photometric="rgb", rowsperstrip=16, metadata=None)  # a label
    with closing(TiffImage(path)) as image:
        assert [(level.imagewidth, level.imagelength) for level in image._levels] == [
            (1000, 700),
            (500, 350),
            (250, 175),
        ]
        assert image.size_px == SIZE
        assert abs(int(image.read(500, 350, 400, 100)[50, 50, 0]) - 125) <= 2


def test_a_flat_tiff_in_strips_is_read_a_few_strips_at_a_time(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, painted(), photometric="rgb", rowsperstrip=10, resolution=(20_000, 20_000), resolutionunit=3)
    monkeypatch.setattr(overviews, "WHOLE_PIXELS", 20_000)
    monkeypatch.setattr(tiff_image, "_KEPT_BYTES", 10 * 3 * SIZE[0] * 4)  # four strips
    decoded = []
    real = TiffImage._segment
    monkeypatch.setattr(TiffImage, "_segment", lambda self, page, n: decoded.append(n) or real(self, page, n))
    with closing(open_picture(path)) as image:
        assert isinstance(image, TiffImage)
        whole = image.thumbnail(250)
        assert len(decoded) <= 80  # of 70 strips
        decoded.clear()
        for x in range(50, 950, 40):
            image.read(x, 205, 30, 30)
        assert sorted(decoded) == [19, 20, 21]  # each once, though 23 patches lie on them
        assert len(image._kept) <= 4
    from PIL import Image

    np.testing.assert_allclose(whole, shrink(Image.fromarray(painted()), 250), atol=2)
    assert picture_mpp(path) == pytest.approx(0.5)


def test_a_large_level_of_openslide_is_shrunk_block_by_block(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, painted(), photometric="rgb", tile=(128, 128))
    with closing(OpenSlideImage(path)) as image:
        at_once = image.thumbnail(300)
        monkeypatch.setattr("indexer.readers.openslide_image.WHOLE_PIXELS", 1)
        monkeypatch.setattr(overviews, "WHOLE_PIXELS", 9_000)
        np.testing.assert_allclose(image.thumbnail(300), at_once, atol=1)


def test_a_flat_tiff_of_one_huge_strip_is_refused_with_the_command_that_helps(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, painted(), photometric="rgb", rowsperstrip=SIZE[1], compression="zlib")
    monkeypatch.setattr(tiff_image, "_MAX_SEGMENT_PIXELS", 100_000)
    with pytest.raises(
        SlideError, match=r"only be decoded whole.*vips tiffsave a\.tif a-pyramid\.tif --tile --pyramid"
    ):
        open_picture(path)


def test_threads_that_share_a_file_read_their_own_pixels(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, painted(), photometric="rgb", rowsperstrip=10)
    places = [(x, y) for x in range(40, 960, 80) for y in range(40, 660, 80)]
    with closing(TiffImage(path)) as image, ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda place: image.read(*place, 8, 8)[4, 4].tolist(), places))
    assert found == [[x // 4, y // 4, 128] for x, y in places]
