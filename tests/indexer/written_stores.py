"""Small stores in the layout that spatialdata 0.7 writes."""

import json
import struct
import warnings

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp

from tests.indexer import written_files as written

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
    import zarr  # an extra: whoever writes a store skips without it

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
