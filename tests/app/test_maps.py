import base64
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from app.figures.class_colours import OKABE_ITO
from app.maps import CHOSEN_COLOUR, Classes, PointColours, SlideView, slide_map


def _jpeg(width: int = 40, height: int = 30) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (230, 180, 200)).save(buffer, format="JPEG")
    return buffer.getvalue()


@pytest.fixture
def points() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": ["S/spot/a", "S/tile/b", "S/spot/c"],
            "kind": ["spot", "tile", "spot"],
            "x_px": [100.0, 400.0, 900.0],
            "y_px": [50.0, 300.0, 600.0],
            "label": ["stroma", None, None],
            "side_px": [200.0, 200.0, 200.0],
            "spot_um": [100.0, np.nan, 100.0],
        }
    )


@pytest.fixture
def view() -> SlideView:
    return SlideView("S", width_px=4000, height_px=3000, mpp=0.5, thumbnail=_jpeg())


def _trace(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def test_y_runs_downwards_at_equal_aspect(view, points):
    figure = slide_map(view, points)
    bottom, top = figure.layout.yaxis.range
    left, right = figure.layout.xaxis.range
    # The points with a margin, cut at the edge of the slide.
    assert (0 <= top < 50, 600 < bottom <= 3000) == (True, True)
    assert (0 <= left < 100, 900 < right <= 4000) == (True, True)
    assert (figure.layout.yaxis.scaleanchor, figure.layout.yaxis.scaleratio) == ("x", 1)


def test_thumbnail_covers_the_slide_in_level_0_pixels(view, points):
    (image,) = slide_map(view, points).layout.images
    assert (image.x, image.y, image.sizex, image.sizey) == (0, 0, 4000, 3000)
    assert (image.xref, image.yref, image.layer) == ("x", "y", "below")
    assert base64.b64decode(image.source.removeprefix("data:image/jpeg;base64,")) == view.thumbnail


def test_a_point_carries_its_id_and_its_place(view, points):
    spots = _trace(slide_map(view, points), "spots")
    assert [list(row) for row in spots.customdata] == [["S/spot/a"], ["S/spot/c"]]
    assert list(spots.x) == [100.0, 900.0]
    assert list(spots.y) == [50.0, 600.0]
    assert "stroma" in spots.text[0]
    assert _trace(slide_map(view, points), "tiles").marker.symbol == "square"


def test_only_the_chosen_item_is_marked(view, points):
    figure = slide_map(view, points, chosen="S/spot/c")
    assert list(_trace(figure, "spots").selectedpoints) == [1]
    assert _trace(figure, "tiles").selectedpoints is None
    assert _trace(figure, "spots").selected.marker.color == CHOSEN_COLOUR


def test_scale_bar_has_the_length_it_says(view, points):
    figure = slide_map(view, points)
    (bar,) = figure.layout.shapes
    # 896 px at 0.5 um/px are 448 um; a fifth is 90 um, so 50 um, which are 100 px.
    assert bar.x1 - bar.x0 == pytest.approx(100)
    assert "50 \N{MICRO SIGN}m" in figure.layout.annotations[0].text


def test_without_points_the_whole_slide_is_shown(view, points):
    figure = slide_map(view, points.head(0))
    assert tuple(figure.layout.yaxis.range) == (3000, 0)
    assert tuple(figure.layout.xaxis.range) == (0, 4000)


def test_no_mpp_no_scale_bar(points):
    figure = slide_map(SlideView("S", 4000, 3000), points)
    assert not figure.layout.shapes
    assert not figure.layout.images


def test_values_colour_the_points_they_belong_to(view, points):
    colours = PointColours(np.array([0.1, 0.5, 0.9]), "similarity", "Cividis")
    figure = slide_map(view, points, colours=colours, opacity=0.3)
    assert list(_trace(figure, "spots").marker.color) == [0.1, 0.9]
    assert list(_trace(figure, "tiles").marker.color) == [0.5]
    assert "0.900" in _trace(figure, "spots").text[1]
    assert _trace(figure, "spots").marker.opacity == 0.3
    low, high = figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax
    assert 0.1 <= low < high <= 0.9


def test_one_value_for_all_still_makes_a_colour_scale(view, points):
    axis = slide_map(view, points, colours=PointColours(np.full(3, 0.4), "similarity")).layout.coloraxis
    assert axis.cmax > axis.cmin


def test_items_of_unknown_size_are_drawn_all_the_same(points):
    bare = points.assign(side_px=np.nan, spot_um=np.nan, label=None)
    figure = slide_map(SlideView("S", 4000, 3000), bare)
    assert all(4 <= trace.marker.size <= 26 for trace in figure.data)


def test_without_an_image_the_extent_is_that_of_the_points(points):
    row = {"slide": "S", "width_px": None, "height_px": float("nan"), "mpp": None, "thumbnail": None}
    view = SlideView.from_row(row, points)
    assert view.width_px == pytest.approx(945)
    assert view.height_px == pytest.approx(630)
    assert view.mpp is None


def test_classes_colour_the_points_they_belong_to_and_are_named(view, points):
    names = ("Tumour", "Stroma")
    given = tuple(None if number == 0 else names[number % 2] for number in range(len(points)))
    figure = slide_map(view, points, colours=Classes(given, "class", dict(zip(names, OKABE_ITO, strict=False))))
    colour_of = {}
    for trace in figure.data:
        if trace.customdata is not None:
            colour_of |= {item: colour for (item,), colour in zip(trace.customdata, trace.marker.color, strict=True)}
    palette = dict(zip(names, OKABE_ITO, strict=False))
    told = dict(zip(points["id"], given, strict=True))
    assert all(colour_of[item] == palette[name] for item, name in told.items() if name)
    assert colour_of[points["id"].iloc[0]] not in palette.values()
    assert {trace.name for trace in figure.data} >= set(names)
