"""Zarr stores of LazySlide: corners become centres, features find their tiles, and what does not fit is named."""

import json
import shutil

import anndata
import numpy as np
import pandas as pd
import pytest

from encoders.errors import SpaceMismatchError
from indexer.building.build import build_index
from indexer.errors import FeaturesError
from indexer.features.tile_files import TileFile, layout_of, tile_files
from indexer.features.tiled_slides import open_tiled_slides
from indexer.index import Index
from indexer.readers.lazyslide import LazySlideStore
from indexer.readers.table_slide import read_slide_table
from tests.indexer.test_tiled_slides import CENTRES, SIDE, SPACE, features_at, write_table

zarr = pytest.importorskip("zarr")
pytestmark = pytest.mark.filterwarnings("ignore")  # what anndata and zarr say of their own formats


def write_store(path, *, tables=("fake-image",), centres=CENTRES, spec=None, order=None, dim=None, mpp=1.0):
    """As wsidata 0.12 writes it: tiles of 20 px at 2 um/px, so of 40 px at level 0; rows in any order."""
    told = {"height": 20, "width": 20, "stride_height": 20, "stride_width": 20, "mpp": 2.0, "ops_level": 0}
    told |= {"ops_downsample": 2.0, "base_level": 0, "base_downsample": 2.0, "tissue_name": "tissues"} | (spec or {})
    root = zarr.open_group(str(path), mode="w")
    root.attrs.update({"spatialdata_attrs": {"version": "0.2"}, "tile_spec": {"tiles": told}})
    root.attrs["slide_properties"] = {"shape": [480, 640], "n_level": 1, "mpp": mpp, "magnification": 10}
    corners = centres - SIDE // 2
    frame = pd.DataFrame({"tile_id": np.arange(len(centres)), "x": corners[:, 0], "y": corners[:, 1], "tissue_id": 0})
    (path / "shapes" / "tiles").mkdir(parents=True)
    frame.assign(geometry=b"").to_parquet(path / "shapes" / "tiles" / "shapes.parquet")
    order = np.arange(len(centres)) if order is None else order
    features = features_at(centres)[order] if dim is None else np.ones((len(order), dim), np.float32)
    for name in tables:
        obs = pd.DataFrame({"tile_id": order, "library_id": pd.Categorical(["tiles"] * len(order))}, order.astype(str))
        table = anndata.AnnData(features, obs=obs)
        table.uns["spatialdata_attrs"] = {"region": "tiles", "region_key": "library_id", "instance_key": "tile_id"}
        table.write_zarr(path / "tables" / f"{name}_tiles")
    return path


def test_corners_become_centres_and_rows_find_their_tiles(tmp_path):
    order = np.random.default_rng(0).permutation(len(CENTRES))
    store = LazySlideStore(write_store(tmp_path / "S.zarr", order=order))
    tiles = store.read()
    assert (tiles.slide, tiles.encoder, tiles.side_px) == ("S", "fake-image", 40.0)
    np.testing.assert_array_equal(tiles.xy_px, CENTRES[order])
    np.testing.assert_array_equal(tiles.features, features_at(CENTRES)[order])
    assert (store.mpp(), store.tile_um()) == (1.0, 40.0)


def test_a_folder_of_stores_becomes_an_index(tmp_path):
    write_store(tmp_path / "run" / "A1.zarr")
    (file,) = tile_files(tmp_path / "run")
    assert (layout_of(file.path), file.slide) == ("lazyslide", "A1")
    assert tile_files(tmp_path / "run" / "A1.zarr")[0].path == file.path
    table = read_slide_table(write_table(tmp_path / "slides.csv", mpp=""))

    def run():
        return build_index(tmp_path / "db", open_tiled_slides(tmp_path / "run", table=table), SPACE)

    assert run().added == ("A1",)
    (slide,) = Index.open(tmp_path / "db").slides().to_pylist()
    assert (slide["n_tiles"], slide["mpp"], slide["mpp_source"]) == (len(CENTRES), 1.0, "file")
    assert run().skipped == ("A1",)
    shutil.rmtree(tmp_path / "run")
    write_store(tmp_path / "run" / "A1.zarr", centres=CENTRES[:9])
    assert run().replaced == ("A1",)


def test_of_several_encoders_one_is_named(tmp_path):
    path = write_store(tmp_path / "S.zarr", tables=("uni2", "conch"), dim=1536)
    with pytest.raises(
        FeaturesError, match=r"2 tables of features \(tables: conch_tiles, uni2_tiles\).*--features-enc"
    ):
        LazySlideStore(path).read()
    assert TileFile(path, "lazyslide", encoder="uni2-h").read(1.0).encoder == "uni2-h"
    with pytest.raises(SpaceMismatchError, match="512"):
        LazySlideStore(path, "conch").read()


def test_another_mpp_than_the_slides_is_told(tmp_path):
    write_store(tmp_path / "A1.zarr", mpp=0.25)
    table = read_slide_table(write_table(tmp_path / "slides.csv"))
    report = build_index(tmp_path / "db", open_tiled_slides(tmp_path / "A1.zarr", table=table), SPACE)
    assert "has mpp 1 (user), but A1.zarr was made at 0.25" in report.failed[0].reason


def lose(*parts):
    return lambda path: shutil.rmtree(path.joinpath(*parts))


BROKEN = {
    "no tables": (lose("tables"), "has 0 tables of features"),
    "no tiles": (lambda path: (path / "shapes" / "tiles" / "shapes.parquet").unlink(), "expected tiles as LazySlide"),
    "text for tiles": (
        lambda path: (path / "shapes" / "tiles" / "shapes.parquet").write_text("x"),
        "expected tiles as LazySlide",
    ),
    "no features": (lose("tables", "fake-image_tiles", "X"), "nothing but zeros for 4 of 4 tiles"),
    "no rows": (lose("tables", "fake-image_tiles", "obs", "tile_id"), "does not fit together"),
    "text for a table": (
        lambda path: (path / "tables" / "fake-image_tiles" / "zarr.json").write_text("{"),
        "damaged or no table of LazySlide",
    ),
    "no size": (lambda path: zarr.open_group(str(path)).attrs.update({"tile_spec": {}}), "how large its tiles"),
    "oblong": (
        lambda path: zarr.open_group(str(path)).attrs.update(
            {"tile_spec": {"tiles": {"width": 20, "height": 10, "base_downsample": 1.0}}}
        ),
        "20 x 10 pixels; expected squares",
    ),
    "text for metadata": (lambda path: (path / "zarr.json").write_text("{"), "no zarr store"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("whole") / "S.zarr", centres=CENTRES[:4])


@pytest.mark.parametrize("fault", BROKEN)
def test_a_damaged_store_says_its_own_reason(tmp_path, whole, fault):
    path = shutil.copytree(whole, tmp_path / "S.zarr")
    harm, reason = BROKEN[fault]
    harm(path)
    with pytest.raises(FeaturesError, match=reason):
        LazySlideStore(path).read()


def test_features_of_other_tiles_are_refused(tmp_path):
    more = write_store(tmp_path / "S.zarr", centres=CENTRES[:4], order=np.array([0, 1, 2]))
    with pytest.raises(FeaturesError, match=r"shape \(3, \d+\); expected \(n, dim\) for 4 tiles"):
        LazySlideStore(more).read()
    twice = write_store(tmp_path / "T.zarr", centres=CENTRES[:4], order=np.array([0, 1, 2, 2]))
    with pytest.raises(FeaturesError, match="does not fit together"):
        LazySlideStore(twice).read()
    assert json.loads(TileFile(twice, "lazyslide").stated)[0] == "lazyslide"
