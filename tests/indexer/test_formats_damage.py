"""Files of every format with bytes cut, changed or wiped: each is read or refused in a sentence, nothing else."""

import contextlib
import gzip
import json
import random
import shutil

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import tifffile

from encoders.errors import HistoSeekError
from indexer.errors import CountsError
from indexer.formats import find_slides
from tests.indexer import written_files as written
from tests.indexer.written_stores import write_store

N_HARMS = 12


def write_xenium(folder):
    written.write_h5(folder / "X" / "cell_feature_matrix.h5")
    (folder / "X" / "experiment.xenium").write_text(json.dumps({"pixel_size": 0.2125}))
    ids = [row[0] for row in written.spot_rows()]
    pd.DataFrame({"cell_id": ids, "x_centroid": 1.0, "y_centroid": 2.0}).to_parquet(folder / "X" / "cells.parquet")


def write_h5ad(folder):
    folder.mkdir()
    cells = anndata.AnnData(sp.csr_matrix(np.eye(20, 4, dtype=np.float32)))
    cells.obsm["spatial"] = np.ones((20, 2))
    cells.write_h5ad(folder / "a.h5ad")


def write_gct(folder):
    folder.mkdir()
    (folder / "a.gct").write_text("#1.2\n2\t2\nName\tDescription\tA\tB\nENSG1\tVIM\t1\t2\nENSG2\tKRT8\t3\t4\n")


def write_tiff(folder):
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    options = {"photometric": "rgb", "tile": (32, 32), "metadata": {"axes": "YXS", "PhysicalSizeX": 0.5}}
    tifffile.imwrite(folder / "a.ome.tif", pixels, compression="zlib", **options)


def write_visium(folder):
    written.write_outs(folder / "mtx")
    written.write_outs(folder / "h5", h5=True, old=True)


def write_spots(folder):
    """A store of SpatialData without its picture, of which most files are."""
    pytest.importorskip("zarr")
    store = write_store(folder / "S.zarr")
    shutil.rmtree(store / "images")
    shutil.rmtree(store / "tables" / "table_cells")


LAYOUTS = {
    "visium": write_visium,
    "xenium": write_xenium,
    "h5ad": write_h5ad,
    "hest": written.write_hest,
    "st": written.write_legacy,
    "spatialdata": write_spots,
    "gct": write_gct,
    "slides": write_tiff,
}


def harm(path, dice):
    content = bytearray(path.read_bytes())
    place, n = dice.randrange(len(content)), dice.randrange(1, 200)
    how = dice.choice(("cut", "wipe", "change", "text"))
    if how == "cut":
        content = content[:place]
    elif how == "wipe":
        content[place : place + n] = bytes(len(content[place : place + n]))
    elif how == "text":
        content = bytearray(b"hello, world\n1,2\n")
    else:
        for _ in range(n):
            content[dice.randrange(len(content))] = dice.randrange(256)
    path.write_bytes(content)


def read_all(place, name):
    for slide in find_slides(place, name):
        assert slide.facts.slide
        slide.read_expression()
        image = slide.open_image()
        if image is not None:
            try:
                image.read(30, 30, 40, 16)
                image.thumbnail(32)
            finally:
                image.close()


@pytest.mark.filterwarnings("ignore")  # what libraries say of damage is not what is tested
@pytest.mark.parametrize("name", LAYOUTS)
def test_damage_is_refused_and_never_more(tmp_path, name):
    LAYOUTS[name](tmp_path / "whole")
    read_all(tmp_path / "whole", name)
    dice = random.Random(name)  # noqa: S311 - the same damage every time
    for number in range(N_HARMS):
        place = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", place)
        harm(dice.choice(sorted(path for path in place.rglob("*") if path.is_file())), dice)
        with contextlib.suppress(HistoSeekError, OSError):
            read_all(place, name)


def test_indices_that_point_outside_are_not_followed(tmp_path):
    counts = sp.csc_matrix(written.matrix())
    counts.indices[3] = 2**30
    written.write_h5(tmp_path / "a.h5", counts=counts)
    (slide,) = find_slides(tmp_path, "10x")
    with pytest.raises(CountsError, match="no sparse matrix"):
        slide.read_expression()


def test_a_list_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("indexer.readers.tenx._MAX_LIST_BYTES", 1000)
    written.write_mtx(tmp_path / "m")
    (tmp_path / "m" / "barcodes.tsv.gz").write_bytes(gzip.compress(b"x" * 100_000))
    (slide,) = find_slides(tmp_path, "10x")
    with pytest.raises(CountsError, match="unpacks to more than 1,000 bytes"):
        slide.read_expression()
