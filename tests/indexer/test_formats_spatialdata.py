"""Stores of SpatialData, of both versions of zarr, with the layout that spatialdata 0.7 writes."""

import json
import shutil
import struct
import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from indexer.errors import CountsError, DataError, JoinError, SlideError
from indexer.format import Circumstances
from indexer.formats import find_slides
from indexer.genes.shipped import shipped_tables
from indexer.readers.frames import to_systems
from tests.indexer import written_files as written

zarr = pytest.importorskip("zarr")

SIZE = (320, 256)
XY = [{"name": "x", "type": "space"}, {"name": "y", "type": "space"}]
CYX = [{"name": "c", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]


def placed(kind, values, axes, system="global"):
    """A transformation into a coordinate system."""
    ends = {"input": {"name": "own", "axes": axes}, "output": {"name": system, "axes": axes}}
    return (
        {"type": kind, kind: values, **ends}
        if kind != "sequence"
        else {"type": kind, "transformations": values, **ends}
    )


def describe(group, attributes, version):
    group.mkdir(parents=True, exist_ok=True)
    if version == 3:
        content = {"attributes": attributes, "zarr_format": 3, "node_type": "group"}
        (group / "zarr.json").write_text(json.dumps(content))
    else:
        (group / ".zgroup").write_text('{"zarr_format": 2}')
        (group / ".zattrs").write_text(json.dumps(attributes))


def write_image(store, version, *, name="he", dtype=np.uint8, channels=3, scale=2.0):
    """A pyramid of three levels, red x / 2 and green y / 2, level 0 of `scale` units of `global` a pixel."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    pixels = np.stack([x // 2, y // 2, np.full_like(x, 128)])[:channels].astype(dtype)
    levels = []
    for level in range(3):
        part = pixels[:, :: 2**level, :: 2**level]
        made = zarr.create_array(
            store / "images" / name / f"s{level}",
            shape=part.shape,
            chunks=(3, 64, 64),
            dtype=dtype,
            zarr_format=version,
        )
        made[:] = part
        levels.append(
            {"path": f"s{level}", "coordinateTransformations": [placed("scale", [1, 2**level, 2**level], CYX)]}
        )
    scales = [{"datasets": levels, "axes": CYX, "coordinateTransformations": [placed("scale", [1, scale, scale], CYX)]}]
    describe(
        store / "images" / name, {"ome": {"multiscales": scales}} if version == 3 else {"multiscales": scales}, version
    )


def point(x, y):
    return struct.pack("<BI2d", 1, 1, x, y)


def square(x, y, side):
    corners = [(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)]
    return struct.pack("<BIII10d", 1, 3, 1, 5, *(value for corner in corners for value in corner))


def write_shapes(store, name, geometries, transformation, version, **columns):
    describe(store / "shapes" / name, {"coordinateTransformations": [transformation]}, version)
    index = [f"{name[0]}{number}" for number in range(len(geometries))]
    frame = pd.DataFrame({"geometry": geometries, **columns}, index=index)
    frame.to_parquet(store / "shapes" / name / "shapes.parquet")


def write_table(store, name, region, version, *, counts=None, **columns):
    n = 20
    obs = pd.DataFrame(
        {
            "region": pd.Categorical([region] * n),
            "instance": [f"{region[0]}{number}" for number in range(n)],
            **columns,
        },
        index=[f"row{number}" for number in range(n)],
    )
    values = np.outer(np.arange(1, n + 1), [1, 2, 3]).astype(np.float32) if counts is None else counts
    table = anndata.AnnData(sp.csr_matrix(values), obs=obs, var=pd.DataFrame(index=["ERBB2", "KRT19", "VIM"]))
    keys = {"region": region, "region_key": "region", "instance_key": "instance"}
    table.uns["spatialdata_attrs"] = keys
    with warnings.catch_warnings(), anndata.settings.override(zarr_write_format=version):
        warnings.simplefilter("ignore")
        table.write_zarr(store / "tables" / name)
    known = json.loads((store / "tables" / name / ("zarr.json" if version == 3 else ".zattrs")).read_text())
    describe(store / "tables" / name, known.get("attributes", known if version == 2 else {}) | keys, version)


def write_store(store, version=3):
    """Twenty spots of Visium as circles in units of half a global one, and twenty cells as squares."""
    describe(store, {"spatialdata_attrs": {"version": "0.2"}}, version)
    describe(store / "tables", {}, version)
    write_image(store, version)
    rows = written.spot_rows()
    circles = [point(row[5], row[4]) for row in rows]  # 40 apart: 160 of global, 80 px, so 1.25 um a pixel
    write_shapes(store, "spots", circles, placed("scale", [4.0, 4.0], XY), version, radius=11.0)
    steps = [placed("scale", [2.0, 2.0], XY), placed("translation", [4.0, 6.0], XY)]
    cells = [square(10 * number, 0, 4) for number in range(20)]
    write_shapes(store, "cells", cells, placed("sequence", steps, XY), version)
    columns = {"array_row": [row[2] for row in rows], "array_col": [row[3] for row in rows], "kind": ["a", "b"] * 10}
    write_table(store, "table", "spots", version, **columns)
    write_table(store, "table_cells", "cells", version)
    return store


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
