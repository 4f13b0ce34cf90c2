"""Tiles of slides: how they are cut, where they come from, and what a slide that cannot be zoomed says."""

import io
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.viewer import tiles as tiles_module
from app.viewer.handles import Handles
from app.viewer.pyramids import Pyramid, build_pyramid, make_room
from app.viewer.tiles import IndexedSlide, Tiles
from app.viewer.tiling import TILE_PX, Tiling
from indexer.errors import SlideError
from indexer.readers.flat_image import FlatImage

SIZE = (1300, 1111)


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Path:
    """A picture whose red grows with x and green with y, so that a pixel says where it is from."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    pixels = np.stack([x * 255 // SIZE[0], y * 255 // SIZE[1], np.full_like(x, 90)], axis=-1).astype(np.uint8)
    path = tmp_path_factory.mktemp("pictures") / "flat.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def tiles_of(tmp_path):
    opened = []

    def make(*slides: IndexedSlide) -> Tiles:
        by_name = {slide.name: slide for slide in slides}
        opened.append(Tiles(by_name.get, tmp_path / "pyramids"))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def until_ready(tiles: Tiles, name: str):
    for _ in range(200):
        shown = tiles.show(name)
        if shown.state != "preparing":
            return shown
        time.sleep(0.02)
    raise AssertionError("never ready")


def decoded(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"), dtype=int)


def assert_in_register(jpeg: bytes, tiling: Tiling, level: int, column: int, row: int) -> None:
    pixels, scale = decoded(jpeg), tiling.scale(level)
    height, width = pixels.shape[:2]
    assert (width, height) == tiling.tile_size(level, column, row)
    for y, x in ((0, 0), (height // 2, width // 2), (height - 2, width - 2)):
        at_x, at_y = (column * TILE_PX + x + 0.5) * scale, (row * TILE_PX + y + 0.5) * scale
        assert pixels[y, x, 0] == pytest.approx(at_x * 255 / SIZE[0], abs=6)
        assert pixels[y, x, 1] == pytest.approx(at_y * 255 / SIZE[1], abs=6)


@given(st.integers(1, 200_000), st.integers(1, 200_000))
def test_levels_halve_down_to_one_tile_and_tiles_cover_them(width, height):
    tiling = Tiling(width, height)
    assert tiling.size(tiling.top) == (width, height)
    assert tiling.grid(0) == (1, 1)
    assert tiling.top == 0 or max(tiling.grid(1)) == 2
    for level in range(tiling.top + 1):
        columns, rows = tiling.grid(level)
        last = tiling.tile_size(level, columns - 1, rows - 1)
        assert all(1 <= side <= TILE_PX for side in last)
        assert ((columns - 1) * TILE_PX + last[0], (rows - 1) * TILE_PX + last[1]) == tiling.size(level)
        assert tiling.holds(level, columns - 1, rows - 1)
        assert not tiling.holds(level, columns, 0)
        assert not tiling.holds(level, 0, -1)
    assert not tiling.holds(tiling.top + 1, 0, 0)


@pytest.mark.parametrize("largest_overview", [1, 10**9])  # by way of a pyramid, and from the file
def test_every_tile_shows_its_own_place(picture, tiles_of, monkeypatch, largest_overview):
    monkeypatch.setattr(tiles_module, "_LARGEST_OVERVIEW", largest_overview)
    tiles = tiles_of(IndexedSlide("S", picture, SIZE, None))
    shown = until_ready(tiles, "S")
    assert (shown.state, shown.sentence) == ("ready", "")
    for level in range(shown.tiling.top + 1):
        columns, rows = shown.tiling.grid(level)
        for column, row in {(0, 0), (columns - 1, rows - 1), (columns - 1, 0)}:
            jpeg = tiles.tile("S", shown.stamp, level, column, row)
            assert_in_register(jpeg, shown.tiling, level, column, row)
            assert tiles.tile("S", shown.stamp, level, column, row) == jpeg
    assert tiles.tile("S", shown.stamp, 0, 1, 0) is None
    assert tiles.tile("S", "another", 0, 0, 0) is None
    assert tiles.tile("T", shown.stamp, 0, 0, 0) is None


def test_a_pyramid_is_made_once(picture, tiles_of, monkeypatch, tmp_path):
    monkeypatch.setattr(tiles_module, "_LARGEST_OVERVIEW", 1)
    slide = IndexedSlide("S", picture, SIZE, None)
    until_ready(tiles_of(slide), "S")
    (made,) = (tmp_path / "pyramids").iterdir()
    monkeypatch.setattr(tiles_module, "build_pyramid", lambda *_: pytest.fail("decoded again"))
    assert until_ready(tiles_of(slide), "S").state == "ready"
    assert list((tmp_path / "pyramids").iterdir()) == [made]


def test_a_pyramid_that_fails_leaves_nothing_behind(picture, tmp_path, monkeypatch):
    image = FlatImage(picture)

    def fail(*_):
        raise SlideError("damaged")

    monkeypatch.setattr(image, "read", fail)
    with pytest.raises(SlideError):
        build_pyramid(image, tmp_path / "p" / "one.sqlite")
    assert not list((tmp_path / "p").iterdir())


def test_the_oldest_pyramids_make_room(picture, tmp_path):
    for age, name in enumerate("abc"):
        build_pyramid(FlatImage(picture), tmp_path / f"{name}.sqlite")
        path = tmp_path / f"{name}.sqlite"
        os.utime(path, (1000 + age, 1000 + age))
    size = (tmp_path / "a.sqlite").stat().st_size
    make_room(tmp_path, most_bytes=2 * size)
    assert sorted(path.stem for path in tmp_path.glob("*.sqlite")) == ["b", "c"]
    pyramid = Pyramid(tmp_path / "b.sqlite")
    assert pyramid.tile(0, 0, 0)
    assert pyramid.tile(7, 0, 0) is None
    pyramid.close()


@pytest.mark.parametrize(
    ("path", "size", "said"),
    [
        (None, SIZE, "no image file"),
        ("gone.png", SIZE, "gone.png is not where it was read"),
        ("flat.png", (5, 5), "has 1300 x 1111 pixels, the indexed one had 5 x 5"),
        ("text.png", SIZE, "text.png is not an image"),
    ],
)
def test_a_slide_that_cannot_be_zoomed_says_why(picture, tiles_of, path, size, said):
    (picture.parent / "text.png").write_text("not a picture")
    tiles = tiles_of(IndexedSlide("S", None if path is None else picture.parent / path, size, b"small"))
    shown = tiles.show("S")
    assert shown.state == "picture"
    assert said in shown.sentence
    assert "small picture is shown" in shown.sentence
    assert str(picture.parent) not in shown.sentence  # where files lie is nobody's business
    assert tiles.tile("S", shown.stamp, 0, 0, 0) is None
    assert tiles.picture("S") == b"small"


def test_a_slide_that_changes_on_disk_is_read_anew(picture, tiles_of, tmp_path):
    path = tmp_path / "s.png"
    Image.new("RGB", SIZE, (255, 0, 0)).save(path)
    tiles = tiles_of(IndexedSlide("S", path, SIZE, None))
    first = tiles.show("S")
    assert decoded(tiles.tile("S", first.stamp, 0, 0, 0))[0, 0, 0] > 200
    Image.new("RGB", SIZE, (0, 0, 255)).save(path, compress_level=0)
    second = tiles.show("S")
    assert second.stamp != first.stamp
    assert decoded(tiles.tile("S", second.stamp, 0, 0, 0))[0, 0, 2] > 200


def test_no_two_threads_share_a_handle_and_few_stay_open(picture):
    handles = Handles(most_idle=2, most_busy=4)
    seen, together, lock = [], threading.Barrier(4, timeout=10), threading.Lock()

    def read() -> None:
        with handles.borrow(picture) as image:
            with lock:
                seen.append(id(image))
            together.wait()

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 4
    assert handles.n_idle == 2
    with pytest.raises(SlideError), handles.borrow(picture):
        raise SlideError("damaged")
    assert handles.n_idle == 1  # one that failed is not kept
    handles.close()
    assert handles.n_idle == 0
