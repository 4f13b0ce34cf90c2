"""Scale bars are right to the micrometre, pictures stand at one scale, and each figure reaches a file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.figures.bars import Bars, bars_figure
from app.figures.gallery import Gallery, gallery_figure
from app.figures.picture_panel import Picture, SectionPlace, common_side_um, draw_picture
from app.figures.scale_bar import draw_scale_bar, length_text, round_length_um
from app.figures.slide_map import SlideMap, map_figure
from app.figures.style import new_figure, save


@given(st.floats(1e-2, 1e6))
def test_bar_is_round_and_fits(width_um):
    length = round_length_um(width_um)
    mantissa = length / 10 ** np.floor(np.log10(length) + 1e-9)
    assert length <= width_um * 0.33 * (1 + 1e-6)
    assert length >= width_um * 0.33 / 2.5 * (1 - 1e-6)
    assert round(mantissa, 6) in {1, 2, 5}


@pytest.mark.parametrize("width_um", [0.0, -3.0, float("nan"), float("inf")])
def test_bar_refuses_a_width_that_is_no_length(width_um):
    with pytest.raises(ValueError, match="positive length"):
        round_length_um(width_um)


def test_lengths_change_unit_at_a_millimetre():
    assert (length_text(200), length_text(2000)) == ("200 µm", "2 mm")


def test_bar_spans_its_length_on_the_axes():
    axes = new_figure(2, 2).add_axes((0, 0, 1, 1))
    axes.set_xlim(0, 1000)  # pixels at 0.5 um/px: 500 um across
    length = draw_scale_bar(axes, um_per_unit=0.5)
    x = axes.lines[0].get_xdata()
    assert length == 100
    assert (x[1] - x[0]) * 1000 * 0.5 == pytest.approx(length)


def patch(seed: int, side_um: float = 112.0) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    return Picture(f"{seed}", ("score .812", "p .003", "slide C2"), pixels, side_um, 100.0)


def test_patches_of_different_sides_share_one_field_of_view():
    pictures = [patch(1, 112.0), patch(2, 224.0), Picture("3", ())]
    field = common_side_um(pictures)
    axes = new_figure(2, 2).add_axes((0, 0, 1, 1))
    draw_picture(axes, pictures[0], field_um=field)
    assert field == 224.0
    assert axes.get_xlim() == (-112.0, 112.0)
    assert axes.images[0].get_extent() == [-56.0, 56.0, 56.0, -56.0]
    assert axes.patches[-1].radius == 50.0


def test_gallery_shows_every_hit_and_marks_generated_data(tmp_path: Path):
    place = SectionPlace(np.random.default_rng(0).uniform(0, 6000, (50, 2)), (3000.0, 2000.0))
    hits = [*(patch(seed) for seed in range(6)), Picture("7", ("x",), place=place, generated=True), Picture("8", ())]
    figure = gallery_figure(Gallery("Title", "what was asked", patch(9), hits, "licence"))
    path = save(figure, tmp_path / "new" / "gallery.png")
    assert len(figure.axes) == 1 + len(hits)
    assert "GENERATED DATA" in [text.get_text() for text in figure.texts]
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in path.parent.iterdir()] == ["gallery.png"]


def test_map_lies_in_micrometres_over_its_thumbnail():
    xy = np.array([[1000.0, 2000.0], [3000.0, 2000.0], [2000.0, 3000.0]])
    view = SlideMap(
        "t", "s", "score", xy, np.array([0.1, np.nan, 0.3]), mpp=0.5, item_um=100.0,
        thumbnail=np.full((100, 80, 3), 255, np.uint8), thumbnail_scale=0.02,
        mark_px=(1000.0, 2000.0), mark_name="hit 1",
    )  # fmt: skip
    figure = map_figure(view)
    axes = figure.axes[0]
    assert axes.images[0].get_extent() == [0, 2000.0, 2500.0, 0]  # 80 and 100 px / .02 x .5
    assert axes.collections[0].get_offsets().tolist() == (xy * 0.5).tolist()
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_bars_keep_order_and_whiskers():
    figure = bars_figure(
        Bars("t", "s", "value", ["a", "b"], [2.0, 1.0], spreads=[0.5, 0.1], marks=[None, 1.4], mark_name="measured")
    )
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert axes.get_xlim()[1] >= 2.5
