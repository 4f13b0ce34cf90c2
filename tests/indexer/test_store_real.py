"""A real section in the store: what was read is what comes back, through tables and sidecars."""

import io

import numpy as np
import pytest
from PIL import Image

from indexer.building.build import build_index
from indexer.datasets.manifest import load_manifest
from indexer.index import Index
from indexer.sources import open_sources
from indexer.verification import find_problems
from tests.indexer.store_doubles import fake_space


@pytest.mark.real
def test_a_section_with_image_and_one_without(tmp_path, mirror):
    sources = open_sources("her2st", manifest=load_manifest(), slides=["B4", "A1"])
    report = build_index(tmp_path / "idx", sources, fake_space(), tile_stride_um=400)
    assert report.failed == ()
    index = Index.open(tmp_path / "idx")
    assert find_problems(index) == []
    assert [(row["slide"], row["n_spots"]) for row in index.slides().to_pylist()] == [("B4", 283), ("A1", 346)]
    table = index.metadata().to_pandas()
    read = sources[0].read_expression()
    ids = table["id"].tolist()
    rows = [ids.index(f"B4/spot/{name}") for name in read.names]
    columns = [index.genes.index(gene) for gene in read.genes]
    stored = index.expression(rows)[:, columns]
    assert abs(stored - read.counts).max() == 0
    np.testing.assert_allclose(table.loc[rows, ["x_px", "y_px"]], read.xy_px, atol=0.01)
    np.testing.assert_allclose(table.loc[rows, "total_counts"], np.asarray(read.counts.sum(axis=1)).ravel())
    image = sources[0].open_image()
    (jpeg,) = index.thumbnails(rows[:1])
    patch = image.read(*read.xy_px[0], float(table.loc[rows[0], "side_px"]), 16)
    assert np.abs(np.asarray(Image.open(io.BytesIO(jpeg)), float) - patch).mean() < 12
    assert build_index(tmp_path / "idx", sources, fake_space(), tile_stride_um=400).skipped == ("B4", "A1")
