"""Visium HD bins, Xenium bundles and STimage-1K4M in their layouts."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from indexer.errors import CountsError, DataError, JoinError
from indexer.format import Circumstances, Said
from indexer.formats import find_slides
from tests.indexer import written_files as written

GENES = ("ERBB2", "KRT19", "VIM")


def write_bundle(folder, *, pixel_size=0.2125, n_cells=20):
    written.write_h5(folder / "cell_feature_matrix.h5")
    (folder / "experiment.xenium").write_text(json.dumps({"pixel_size": pixel_size, "panel_organism": "Human"}))
    ids = [row[0] for row in written.spot_rows()][:n_cells]
    frame = {"cell_id": ids, "x_centroid": np.arange(n_cells) * 2.125, "y_centroid": np.full(n_cells, 4.25)}
    pd.DataFrame(frame).to_parquet(folder / "cells.parquet")
    return folder


def test_xenium_cells_lie_in_pixels_of_the_morphology_image(tmp_path):
    (slide,) = find_slides(write_bundle(tmp_path / "X1"), "xenium")
    assert (slide.facts.slide, slide.kind, slide.facts.mpp, slide.facts.mpp_source) == ("X1", "cell", 0.2125, "file")
    found = slide.read_expression()
    np.testing.assert_allclose(found.xy_px[3], [30, 20])  # 6.375 and 4.25 um
    assert found.genes == GENES
    assert slide.open_image() is None


def test_a_xenium_bundle_without_a_part_says_which(tmp_path):
    (slide,) = find_slides(write_bundle(tmp_path / "X1", n_cells=19), "xenium")
    with pytest.raises(JoinError, match=r"1 of 20 cells of the counts, such as 'BC43-1', are not in cells.parquet"):
        slide.read_expression()
    (tmp_path / "X1" / "cells.parquet").write_text("no parquet")
    with pytest.raises(JoinError, match=r"Cannot read .*cells\.parquet"):
        slide.read_expression()
    write_bundle(tmp_path / "X1")
    (tmp_path / "X1" / "experiment.xenium").write_text("{}")
    with pytest.raises(JoinError, match="Cannot read pixel_size"):
        slide.read_expression()
    assert slide.facts.mpp is None


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        (["cells.parquet"], "has no cells.parquet;"),
        (["experiment.xenium", "cell_feature_matrix.h5"], "has no experiment.xenium, cell_feature_matrix.h5;"),
    ],
)
def test_half_a_xenium_bundle_is_listed_and_refused_with_what_is_missing(tmp_path, missing, named):
    bundle = write_bundle(tmp_path / "X1")
    for name in missing:
        (bundle / name).unlink()
    (slide,) = find_slides(tmp_path, "xenium")
    assert slide.facts.slide == "X1"
    with pytest.raises(JoinError, match=named):
        slide.read_expression()


def test_control_probes_of_xenium_are_dropped_and_said(tmp_path):
    bundle = write_bundle(tmp_path / "X1")
    probes = (("NegControlProbe_00042", "NegControlProbe_00042", "Negative Control Probe"),)
    written.write_h5(bundle / "cell_feature_matrix.h5", features=(*written.FEATURES[:3], *probes))
    (slide,) = find_slides(bundle, "xenium")
    assert slide.read_expression().genes == GENES
    assert any("1 features that are no genes are left out" in remark for remark in slide.remarks())


def test_xenium_cells_lie_in_their_histology_where_the_bundle_has_its_alignment(tmp_path, facts):
    bundle = write_bundle(tmp_path / "X1")
    pd.read_parquet(bundle / "cells.parquet").to_csv(bundle / "cells.csv.gz", index=False)
    (bundle / "cells.parquet").unlink()  # bundles of before 2023 have the other
    Image.new("RGB", (60, 50), (220, 120, 180)).save(tmp_path / "he.png")
    around = Circumstances({"X1": Said(replace(facts, slide="X1", mpp=None), tmp_path / "he.png")})
    (bundle / "R1_he_imagealignment.csv").write_text("0,-2,100\n2,0,10\n0,0,1\n")  # a quarter turn at half the scale
    (slide,) = find_slides(bundle, "xenium", around)
    assert slide.facts.mpp == pytest.approx(0.425)
    found = slide.read_expression()
    np.testing.assert_allclose(found.xy_px[2], [5, 35])  # 30 and 20 of the morphology image
    assert found.names[2] == "BC03-1"  # the first lies below the picture
    assert found.counts.shape == (10, 3)
    assert any("10 of 20 cells lie outside its picture" in remark for remark in slide.remarks())
    assert slide.open_image().size_px == (60, 50)
    (bundle / "R1_he_imagealignment.csv").write_text("1,2\n")
    with pytest.raises(JoinError, match="no invertible matrix of 3 x 3"):
        slide.read_expression()
    (bundle / "R1_he_imagealignment.csv").unlink()
    (slide,) = find_slides(bundle, "xenium", around)
    np.testing.assert_allclose(slide.read_expression().xy_px[3], [30, 20])
    assert slide.open_image() is None
    assert any("its picture is not used" in remark for remark in slide.remarks())


def write_bins(outs, size=8):
    folder = outs / "binned_outputs" / f"square_{size:03d}um"
    written.write_h5(folder / "filtered_feature_bc_matrix.h5")
    (folder / "spatial").mkdir()
    rows = [(*row[:4], row[4], row[5]) for row in written.spot_rows()]
    pd.DataFrame(rows, columns=written.HEADER).to_parquet(folder / "spatial" / "tissue_positions.parquet")
    factors = {"microns_per_pixel": 0.2738, "bin_size_um": float(size), "tissue_hires_scalef": 0.1}
    (folder / "spatial" / "scalefactors_json.json").write_text(json.dumps(factors))
    return folder


def test_visium_hd_takes_the_8_um_bins_unless_others_are_named(tmp_path):
    write_bins(tmp_path / "HD1" / "outs")
    other = write_bins(tmp_path / "HD1" / "outs", 16)
    (slide,) = find_slides(tmp_path, "visium-hd")
    assert (slide.facts.slide, slide.facts.mpp, slide.facts.mpp_source) == ("HD1", 0.2738, "file")
    found = slide.read_expression()
    assert found.spot_um == 8
    np.testing.assert_allclose(found.xy_px[4], [80, 50 + 40 * 3**0.5 / 2])
    (named,) = find_slides(other, "visium-hd")
    assert (named.facts.slide, named.read_expression().spot_um) == ("HD1", 16)
    assert any("square_016um beside it can be named instead" in remark for remark in slide.remarks())


def test_visium_hd_without_its_bins_or_a_part_of_them_says_which(tmp_path):
    folder = write_bins(tmp_path / "HD1", 16)
    with pytest.raises(DataError, match=r"holds no square_008um with .*; it has square_016um; expected"):
        find_slides(tmp_path, "visium-hd")
    (folder / "filtered_feature_bc_matrix.h5").unlink()
    (slide,) = find_slides(folder, "visium-hd")
    with pytest.raises(CountsError, match="HD1 has positions but no filtered_feature_bc_matrix in square_016um"):
        slide.read_expression()


def write_stimage(root, *, columns="yaxis,xaxis,r"):
    for part in ("coord", "gene_exp", "image"):
        (root / part).mkdir(parents=True)
    (root / "gene_exp" / "Human_Breast_1_count.csv").write_text(",ERBB2,VIM\ns1,1,2\ns2,3,4\n")
    (root / "coord" / "Human_Breast_1_coord.csv").write_text(f",{columns}\ns2,30,10,5\ns1,20,60,5\n")
    Image.fromarray(np.full((50, 80, 3), 200, np.uint8)).save(root / "image" / "Human_Breast_1.png", format="JPEG")
    return root


def test_stimage_takes_y_before_x_by_name_and_pictures_by_content(tmp_path):
    (slide,) = find_slides(write_stimage(tmp_path / "Visium"), "stimage")
    facts = slide.facts
    assert (facts.slide, facts.technology, facts.mpp) == ("Human_Breast_1", "10x Visium", None)  # two spots tell none
    assert (facts.species, facts.organ) == ("human", "breast")
    found = slide.read_expression()
    np.testing.assert_array_equal(found.xy_px, [[60, 20], [10, 30]])
    np.testing.assert_array_equal(found.counts.toarray(), [[1, 2], [3, 4]])
    assert slide.open_image().size_px == (80, 50)


def write_stimage_spots(root, names, xy):
    (root / "gene_exp" / "Human_Breast_1_count.csv").write_text(
        "\n".join([",VIM", *(f"{name},1" for name in names), ""])
    )
    rows = [f"{name},{y},{x},54.3" for name, (x, y) in zip(names, xy, strict=True)]
    (root / "coord" / "Human_Breast_1_coord.csv").write_text("\n".join([",yaxis,xaxis,r", *rows, ""]))


def test_stimage_tells_the_scale_from_the_distance_of_spots_and_not_from_their_radius(tmp_path):
    hexagonal = [(row[5], row[4]) for row in written.spot_rows()]
    write_stimage_spots(write_stimage(tmp_path / "Visium"), [row[0] for row in written.spot_rows()], hexagonal)
    (slide,) = find_slides(tmp_path / "Visium", "stimage")
    assert (slide.facts.mpp, slide.facts.mpp_source) == (pytest.approx(2.5), "pitch")  # 100 um over 40 px
    assert slide.read_expression().spot_um == 55
    places = [(x, y) for x in range(10, 15) for y in range(13, 17)]
    names = [f"Human_Breast_1_{x}x{y}" for x, y in places]
    for axes, square in (("", [(192 * x, 200 * y) for x, y in places]), ("swapped", [(y, x) for x, y in places])):
        root = write_stimage(tmp_path / f"legacy{axes}" / "ST")
        write_stimage_spots(root, names, square)
        (slide,) = find_slides(root, "stimage")
        if axes:
            with pytest.raises(JoinError, match="x and y look swapped"):
                slide.read_expression()
        else:
            assert slide.facts.mpp == pytest.approx(200 / (192 * 200) ** 0.5)
            assert slide.read_expression().spot_um == 100


def test_stimage_without_its_columns_or_coordinates(tmp_path):
    (slide,) = find_slides(write_stimage(tmp_path / "ST", columns="row,col,r"), "stimage")
    with pytest.raises(JoinError, match=r"has no column xaxis, yaxis \(it has row, col, r\)"):
        slide.read_expression()
    (tmp_path / "ST" / "coord" / "Human_Breast_1_coord.csv").unlink()
    with pytest.raises(JoinError, match="has counts but no"):
        slide.read_expression()
