"""Slides of an index laid over each other: pixels of the one onto pixels of the other."""

import json

import numpy as np
import pytest

from app.figures.alignment import alignment_figure
from app.tables.alignment import alignment_table
from encoders.given_space import given_space
from indexer.building.given_vectors import GivenVectors, index_vectors
from indexer.slides import SlideFacts
from search import Engine
from search.errors import AlignmentError, ItemMissingError

DIM = 6
DEGREES = 25.0


def facts(slide, mpp):
    return SlideFacts(slide, "P", "c", "breast", "d", "t", "human", "CC0", "none", mpp=mpp, mpp_source="user")


def given(slide, mpp, xy_um, vectors):
    columns = {"x_px": xy_um[:, 0] / mpp, "y_px": xy_um[:, 1] / mpp}
    return GivenVectors(facts(slide, mpp), [str(i) for i in range(len(xy_um))], vectors, columns=columns)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """`still` at 0.5 um a pixel; `turned` is the same tissue, turned clockwise on the screen, at 0.25."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 4_000, (160, 2)) * [1.0, 0.7]
    vectors = np.cos(xy @ rng.normal(0, 1 / 800, (2, DIM)) + rng.uniform(0, 6, DIM)) + rng.normal(0, 0.05, (160, DIM))
    a = np.deg2rad(DEGREES)
    moved = xy @ np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]).T + [3_000, 500]
    db = tmp_path_factory.mktemp("aligned") / "db"
    slides = [
        given("still", 0.5, xy, vectors),
        given("turned", 0.25, moved, vectors),
        given("few", 0.5, xy[:4], vectors[:4]),
    ]
    index_vectors(db, slides, given_space("mine", DIM).card)
    return Engine.open(db)


def test_a_turned_slide_is_turned_back_in_pixels_of_the_other(engine):
    found = engine.align("turned", "still", model="rigid")
    assert found.turned_degrees == pytest.approx(DEGREES, abs=1)  # counter-clockwise on the screen
    assert found.scale == pytest.approx(1.0, abs=0.02)
    table = found.to_pandas().set_index("id")
    still = {row["id"]: (row["x_px"], row["y_px"]) for row in engine.catalogue.table.to_pylist()}
    true = np.array([still[name.replace("turned", "still")] for name in table.index])
    error_um = np.linalg.norm(table[["moved_x_px", "moved_y_px"]].to_numpy() - true, axis=1) * 0.5
    assert np.median(error_um) < 30
    matrix = np.array(found.matrix_px)
    by_matrix = table[["x_px", "y_px"]].to_numpy() @ matrix[:, :2].T + matrix[:, 2]
    assert by_matrix == pytest.approx(table[["moved_x_px", "moved_y_px"]].to_numpy(), abs=1e-3)
    assert json.dumps(found.to_dict())


def test_it_is_shown_as_a_table_and_a_picture(engine):
    found = engine.align("turned", "still")
    rows = dict(alignment_table(found, provenance="p").rows)
    assert rows["compared"] == "image of turned with image of still"
    assert rows["turned"].startswith(("24", "25", "26"))
    assert len(alignment_figure(found, engine).axes) == 3


@pytest.mark.parametrize(
    ("slides", "using", "error", "message"),
    [
        (("turned", "turned"), None, AlignmentError, "laid over itself"),
        (("turned", "nowhere"), None, ItemMissingError, "nowhere"),
        (("few", "still"), None, AlignmentError, "moving section has 4 item"),
        (("turned", "still"), ("image", "expression"), AlignmentError, "'still' has no places on its expression side"),
    ],
)
def test_slides_that_cannot_be_aligned(engine, slides, using, error, message):
    with pytest.raises(error, match=message):
        engine.align(*slides, using=using)
