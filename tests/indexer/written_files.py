"""Small files in the layouts that other programs write."""

import csv
import gzip
import json

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse as sp
import tifffile
from PIL import Image

PITCH_PX = 40  # so 2.5 um per pixel
FEATURES = (
    ("ENSG00000141736", "ERBB2", "Gene Expression"),
    ("ENSG00000171345", "KRT19", "Gene Expression"),
    ("ENSG00000026025", "VIM", "Gene Expression"),
    ("ENSG00000999999", "VIM", "Gene Expression"),
    ("CD3", "CD3-antibody", "Antibody Capture"),
)
HEADER = ("barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres")


def spot_rows():
    """Twenty spots: 5 rows of 4, every second column, the first centred on x 60, y 50."""
    rows = []
    for row in range(5):
        for place in range(4):
            column = 2 * place + row % 2
            x, y = 60 + column * PITCH_PX / 2, 50 + row * PITCH_PX * 3**0.5 / 2
            rows.append((f"BC{row}{place}-1", 1, row, column, y, x))
    return rows


def matrix(n=20, features=FEATURES):
    """Counts of feature f of spot s: (s + 1) * (f + 1)."""
    return np.outer(np.arange(1, len(features) + 1), np.arange(1, n + 1))


def write_mtx(folder, counts=None, barcodes=None, features=FEATURES):
    folder.mkdir(parents=True, exist_ok=True)
    counts = matrix(features=features) if counts is None else counts
    barcodes = [row[0] for row in spot_rows()] if barcodes is None else barcodes
    with gzip.open(folder / "matrix.mtx.gz", "wb") as stream:
        scipy.io.mmwrite(stream, sp.coo_matrix(counts))
    texts = {"features.tsv.gz": ["\t".join(one) for one in features], "barcodes.tsv.gz": barcodes}
    for name, lines in texts.items():
        (folder / name).write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))


def write_h5(path, counts=None, features=FEATURES):
    path.parent.mkdir(parents=True, exist_ok=True)
    counts = sp.csc_matrix(matrix(features=features) if counts is None else counts)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["barcodes"] = np.array([row[0] for row in spot_rows()], dtype="S")
        group["data"], group["indices"], group["indptr"] = counts.data, counts.indices, counts.indptr
        group["shape"] = counts.shape
        for column, name in enumerate(("id", "name", "feature_type")):
            group[f"features/{name}"] = np.array([one[column] for one in features], dtype="S")


def write_positions(spatial, rows=None, *, old=False):
    spatial.mkdir(parents=True, exist_ok=True)
    with (spatial / ("tissue_positions_list.csv" if old else "tissue_positions.csv")).open("w", newline="") as stream:
        csv.writer(stream).writerows([*([] if old else [HEADER]), *(spot_rows() if rows is None else rows)])


def write_outs(outs, *, old=False, h5=False, picture=True, **scales):
    """An `outs` folder with a hires picture at half of the 300 x 280 pixels of the full image."""
    if h5:
        write_h5(outs / "filtered_feature_bc_matrix.h5")
    else:
        write_mtx(outs / "filtered_feature_bc_matrix")
    write_positions(outs / "spatial", old=old)
    factors = {"tissue_hires_scalef": 0.5, "tissue_lowres_scalef": 0.1, "spot_diameter_fullres": 26.0} | scales
    (outs / "spatial" / "scalefactors_json.json").write_text(json.dumps(factors))
    if picture:
        pixels = np.zeros((140, 150, 3), dtype=np.uint8)
        pixels[:, 75:] = (200, 100, 150)
        Image.fromarray(pixels).save(outs / "spatial" / "tissue_hires_image.png")
    return outs


def write_legacy(folder, name="S1", *, swap=False, selected=None, picture=(400, 300)):
    """A legacy ST section of 4 x 5 spots, 40 px apart, the spot 1x1 centred on x 60, y 50; ERBB2 of spot i is i + 1."""
    folder.mkdir(parents=True, exist_ok=True)
    places = [(x, y) for x in range(1, 6) for y in range(1, 5)]
    pixels = [(60 + 40 * (x - 1), 50 + 40 * (y - 1)) for x, y in places]
    pixels = [(down, left) for left, down in pixels] if swap else pixels
    lines = ["x\ty\tnew_x\tnew_y\tpixel_x\tpixel_y\tselected"]
    for number, ((x, y), (left, down)) in enumerate(zip(places, pixels, strict=True)):
        taken = 1 if selected is None or number in selected else 0
        lines.append(f"{x}\t{y}\t{x}.01\t{y}.02\t{left}\t{down}\t{taken}")
    (folder / f"{name}_selection.tsv").write_text("\n".join([*lines, ""]))
    rows = [
        f"{x}x{y}\t{number + 1}\t0\t2" for number, (x, y) in enumerate(places) if selected is None or number in selected
    ]
    (folder / f"{name}.tsv").write_text("\n".join(["\tERBB2\tKRT19\tVIM", *rows, ""]))
    if picture:
        Image.new("RGB", picture, (220, 120, 180)).save(folder / f"{name}.jpg")
    return folder


def write_spots_h5ad(path, *, genes=("ERBB2", "KRT19", "VIM"), n=20, **columns):
    """Spots of `spot_rows` as scanpy writes them; counts of gene g of spot s are (s + 1) * (g + 1)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = spot_rows()[:n]
    obs = {"array_row": [row[2] for row in rows], "array_col": [row[3] for row in rows], **columns}
    counts = np.outer(np.arange(1, n + 1), np.arange(1, len(genes) + 1)).astype(np.float32)
    spots = anndata.AnnData(
        sp.csr_matrix(counts), obs=pd.DataFrame(obs, index=[row[0] for row in rows]), var=pd.DataFrame(index=genes)
    )
    spots.obsm["spatial"] = np.array([(row[5], row[4]) for row in rows], dtype=float)
    spots.write_h5ad(path)
    return path


def write_hest(root, name="TENX1", *, table=False, **known):
    """A sample of HEST-1k: spots, a tiled picture of 300 x 280, and what is known of it as json or in the table."""
    write_spots_h5ad(root / "st" / f"{name}.h5ad")
    (root / "wsis").mkdir(parents=True, exist_ok=True)
    pixels = np.full((280, 300, 3), 200, dtype=np.uint8)
    tifffile.imwrite(root / "wsis" / f"{name}.tif", pixels, photometric="rgb", tile=(64, 64))
    known = {
        "dataset_title": "A study",
        "id": name,
        "image_filename": f"{name}.tif",
        "organ": "Bowel",
        "disease_state": "Cancer",
        "oncotree_code": "COAD",
        "species": "Homo sapiens",
        "patient": "Patient 1",
        "st_technology": "Visium",
        "license": "Creative Commons Attribution",
        "inter_spot_dist": 100,
        "spot_diameter": 55,
        "pixel_size_um_embedded": 0.2645833333333333,
        "pixel_size_um_estimated": 2.5,
    } | known
    if table:
        with (root / "HEST_v1_1_0.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([list(known), list(known.values())])
    else:
        (root / "metadata").mkdir(exist_ok=True)
        (root / "metadata" / f"{name}.json").write_text(json.dumps(known))
    return root
