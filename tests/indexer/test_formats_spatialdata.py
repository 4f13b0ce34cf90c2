"""Stores of SpatialData, of both versions of zarr, with the layout that spatialdata 0.7 writes."""

import shutil

import numpy as np
import pytest

from indexer.errors import CountsError, DataError, JoinError, SlideError
from indexer.format import Circumstances
from indexer.formats import find_slides
from indexer.genes.shipped import shipped_tables
from indexer.readers.frames import to_systems
from tests.indexer import written_files as written
from tests.indexer.written_stores import (
    SIZE,
    XY,
    describe,
    placed,
    point,
    write_image,
    write_shapes,
    write_store,
    write_table,
)

pytest.importorskip("zarr")


@pytest.fixture(scope="module")
def spots_alone(tmp_path_factory):
    store = write_store(tmp_path_factory.mktemp("stores") / "S1.zarr")
    shutil.rmtree(store / "tables" / "table_cells")
    return store


@pytest.mark.parametrize("version", [2, 3], ids=["zarr 2", "zarr 3"])
def test_rows_lie_in_pixels_of_the_picture_whatever_the_shapes_are_in(tmp_path, version):
    around = Circumstances(tables=shipped_tables())
    spots, cells = find_slides(write_store(tmp_path / "S1.zarr", version), "spatialdata", around)
    assert [(one.facts.slide, one.kind) for one in (spots, cells)] == [("S1_spots", "spot"), ("S1_cells", "cell")]
    assert spots.facts.mpp == pytest.approx(1.25)  # 100 um over the 80 px from spot to spot
    found = spots.read_expression()
    np.testing.assert_allclose(found.xy_px[0], [120, 100])  # 60 and 50, by 4 into global, by 2 into pixels
    np.testing.assert_array_equal(found.counts.toarray()[4], [5, 10, 15])
    assert (found.genes, found.spot_um) == (("ERBB2", "KRT19", "VIM"), 55)
    np.testing.assert_allclose(cells.read_expression().xy_px[3], [34, 5])  # the middle of its square
    assert cells.facts.mpp is None
    image = spots.open_image()
    assert image.size_px == SIZE
    assert tuple(image.read(100, 60, 8, 8)[4, 4]) == (50, 30, 128)
    assert tuple(image.read(160, 128, 128, 32)[16, 16]) == (80, 64, 128)  # of the level of a fourth
    assert tuple(image.read(0, 0, 8, 4)[0, 0]) == (255, 255, 255)
    assert image.thumbnail(40).shape == (32, 40, 3)
    image.close()


def test_labels_and_a_folder_of_stores(spots_alone, tmp_path):
    for name in ("S1", "S2"):
        shutil.copytree(spots_alone, tmp_path / f"{name}.zarr")
    first, second = find_slides(tmp_path, "spatialdata", Circumstances(label_column="kind"))
    assert [one.facts.slide for one in (first, second)] == ["S1", "S2"]
    assert first.read_expression().labels[:3] == ("a", "b", "a")


def fluorescent(store):
    shutil.rmtree(store / "images" / "he")
    write_image(store, 3, dtype=np.uint16, channels=2)


def elsewhere(store):
    write_shapes(store, "spots", [point(0, 0)] * 3, placed("scale", [4.0, 4.0], XY), 3)


def swapped(store):
    circles = [point(row[4], row[5]) for row in written.spot_rows()]
    write_shapes(store, "spots", circles, placed("scale", [4.0, 4.0], XY), 3)


BROKEN = {
    "no shapes": (lambda store: shutil.rmtree(store / "shapes" / "spots"), JoinError, "is not among the shapes"),
    "no file of shapes": (
        lambda store: (store / "shapes" / "spots" / "shapes.parquet").unlink(),
        JoinError,
        r"has no shapes\.parquet",
    ),
    "damaged shapes": (
        lambda store: (store / "shapes" / "spots" / "shapes.parquet").write_text("text"),
        JoinError,
        r"Cannot read .*shapes\.parquet",
    ),
    "other shapes": (elsewhere, JoinError, "17 of 20 rows of table, such as 's3', are not among the 3 shapes"),
    "swapped": (swapped, JoinError, "x and y look swapped"),
    "no counts": (lambda store: shutil.rmtree(store / "tables" / "table" / "X"), CountsError, "X is a NoneType"),
    "negative": (
        lambda store: (
            shutil.rmtree(store / "tables" / "table")
            or write_table(store, "table", "spots", 3, counts=np.full((20, 3), -1, np.float32))
        ),
        CountsError,
        "got -1; expected raw",
    ),
    "an unknown transformation": (
        lambda store: describe(
            store / "shapes" / "spots", {"coordinateTransformations": [placed("rotation", [[1, 0], [0, 1]], XY)]}, 3
        ),
        JoinError,
        "of the kind 'rotation'; expected identity, scale",
    ),
    "no metadata": (
        lambda store: (store / "shapes" / "spots" / "zarr.json").write_text("{"),
        SlideError,
        r"Cannot read .*zarr\.json",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_damaged_store_says_its_own_reason(spots_alone, tmp_path, fault):
    harm, error, reason = BROKEN[fault]
    store = shutil.copytree(spots_alone, tmp_path / "S1.zarr")
    harm(store)
    (slide,) = find_slides(store, "spatialdata")
    assert slide.facts.slide == "S1"
    with pytest.raises(error, match=reason):
        slide.read_expression()


def test_a_store_without_a_picture_for_the_eye_keeps_its_coordinate_system_and_says_so(spots_alone, tmp_path):
    store = shutil.copytree(spots_alone, tmp_path / "S1.zarr")
    fluorescent(store)
    (spots,) = find_slides(store, "spatialdata")
    np.testing.assert_allclose(spots.read_expression().xy_px[0], [240, 200])
    assert spots.open_image() is None
    assert any("no picture of three 8-bit channels" in remark for remark in spots.remarks())
    with pytest.raises(DataError, match="holds no zarr store with tables"):
        find_slides(store / "images", "spatialdata")


def test_affine_transformations_are_taken_by_the_names_of_their_axes():
    affine = placed("affine", [[0, 2, 5], [3, 0, 7]], [{"name": "y"}, {"name": "x"}])
    np.testing.assert_allclose(to_systems([affine], "here")["global"][:2], [[0, 3, 7], [2, 0, 5]])
