"""Tiles under a pen or out of focus are left out and said; those of a pale, smooth or odd stain are not."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from indexer.building.build import build_index
from indexer.index import Index
from indexer.tissue.quality import TileJudge, said_of, score_tiles
from tests.indexer.store_doubles import FakeImage, fake_space, write_source

PINK, PURPLE, BROWN, PALE = (205, 120, 175), (110, 70, 150), (140, 90, 50), (225, 205, 220)
LYMPHOCYTES = (40, 50, 110)  # of dense ones in a real section
PENS = {"green": (30, 140, 70), "blue": (30, 60, 200), "red": (210, 20, 30), "black": (15, 15, 18)}


def tile(colour=PINK, *, noise=20.0, seed=0, side=64):
    pixels = np.array(colour) + np.random.default_rng(seed).normal(0, noise, (side, side, 1))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def blurred(pixels, radius):
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def test_focus_is_the_variance_of_the_laplacian():
    flat = np.full((1, 9, 9, 3), 100, dtype=np.uint8)
    assert score_tiles(flat).focus.tolist() == [0]
    stripes = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    stripes[:, :, ::2] = 10  # green 10 and 0 by turns: the Laplacian is -20 and 20
    scores = score_tiles(stripes)
    assert scores.focus.tolist() == [400]
    assert scores.variance.tolist() == [25]


@pytest.mark.parametrize("pen", PENS)
def test_ink_is_told_from_stain(pen):
    tiles = np.stack(
        [tile(PENS[pen], noise=8), *(tile(colour, noise=8) for colour in (PINK, PURPLE, BROWN, PALE, LYMPHOCYTES))]
    )
    ink = score_tiles(tiles).ink
    assert ink[0] > 0.9
    assert ink[1:].max() < 0.01


def test_only_what_is_plain_is_left_out():
    sharp = [tile(seed=seed) for seed in range(20)]
    judge = TileJudge.of_scores(score_tiles(np.stack(sharp)))
    half_inked = tile()
    half_inked[:, :32] = PENS["blue"]
    some_ink = tile()
    some_ink[:, :8] = PENS["blue"]
    tiles = [sharp[0], blurred(sharp[0], 0.5), blurred(blobs(), 4), tile(PALE, noise=2), half_inked, some_ink]
    out_of_focus, inked = judge.judge(score_tiles(np.stack(tiles)))
    assert out_of_focus.tolist() == [False, False, True, False, False, False]
    assert inked.tolist() == [False, False, False, False, True, False]


def blobs():
    """Structure that a blur leaves: a checkerboard of large squares."""
    y, x = np.mgrid[:64, :64]
    return np.where(((x // 32 + y // 32) % 2)[..., None], np.array(PINK), np.array(PURPLE)).astype(np.uint8)


def test_a_slide_of_an_odd_stain_or_all_soft_keeps_its_tiles():
    green = np.stack([tile(PENS["green"], seed=seed) for seed in range(9)])
    assert not TileJudge.of_scores(score_tiles(green)).judge(score_tiles(green))[1].any()
    soft = np.stack([blurred(blobs(), 4)] * 9)
    assert not TileJudge.of_scores(score_tiles(soft)).judge(score_tiles(soft))[0].any()


def test_what_was_left_out_is_said():
    assert said_of(0, 0, 9) is None
    assert said_of(2, 1, 9) == (
        "3 of 9 tiles left out: 2 out of focus (Laplacian variance below 5% of the slide's median), "
        "1 under pen (at least 25% of their pixels have the colour of ink)"
    )


def test_an_index_holds_no_inked_tile_and_its_report_says_so(tmp_path, monkeypatch):
    class Inked(FakeImage):
        def __init__(self, seed):
            super().__init__(seed)
            self._pixels[240:280, 320:360] = PENS["green"]  # one tile of 40 um

    monkeypatch.setattr("tests.indexer.store_doubles.FakeImage", Inked)
    source = write_source(tmp_path / "src", "A", spots=None)
    report = build_index(tmp_path / "idx", [source], fake_space(), tile_stride_um=40)
    (note,) = [note for note in report.notes if "left out" in note]
    assert note.startswith("A: 1 of ")
    tiles = Index.open(tmp_path / "idx").metadata().to_pandas().query("kind == 'tile'")
    assert not ((tiles.x_px - 340).abs().lt(20) & (tiles.y_px - 260).abs().lt(20)).any()
