"""HEST-1k, legacy ST of one's own, ST-bank and labels of h5ad, each in its layout and with parts missing."""

from contextlib import closing
from dataclasses import replace

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from indexer.errors import CountsError, DataError, JoinError, ManifestError
from indexer.format import Circumstances, Said
from indexer.formats import find_slides
from indexer.genes.shipped import shipped_tables
from indexer.tissue.patches import check_inside
from tests.indexer import written_files as written


def only(place, name, around=None):
    (slide,) = find_slides(place, name, around)
    return slide


@pytest.mark.parametrize("table", [False, True], ids=["json", "table of a release"])
def test_hest_takes_the_scale_measured_on_the_spots_and_patients_of_their_study(tmp_path, table):
    slide = only(written.write_hest(tmp_path, table=table), "hest")
    facts = slide.facts
    assert (facts.slide, facts.patient, facts.cohort) == ("TENX1", "Patient 1 of A study", "A study")
    assert (facts.organ, facts.diagnosis, facts.species, facts.technology) == ("bowel", "COAD", "human", "Visium")
    assert (facts.mpp, facts.mpp_source) == (2.5, "file")  # not the 0.2646 of a screen, which the picture says
    found = slide.read_expression()
    np.testing.assert_allclose(found.xy_px[4], [80, 50 + 40 * 3**0.5 / 2])  # a spot's centre, x before y
    np.testing.assert_array_equal(found.counts.toarray()[4], [5, 10, 15])
    assert found.spot_um == 55
    image = slide.open_image()
    assert image.size_px == (300, 280)
    image.close()
    assert any("says 0.2646 um per pixel, its spots 2.5" in remark for remark in slide.remarks())


def test_hest_says_which_part_of_a_sample_is_missing(tmp_path):
    root = written.write_hest(tmp_path)
    written.write_hest(root, "NCBI2", patient="", dataset_title="")
    (root / "st" / "TENX1.h5ad").unlink()
    (root / "wsis" / "NCBI2.tif").unlink()
    nameless, without = find_slides(root, "hest")
    assert (nameless.facts.slide, nameless.facts.patient, nameless.facts.cohort) == ("NCBI2", "NCBI2", "HEST-1k")
    nameless.read_expression()
    assert any("there is no wsis/NCBI2.tif" in remark for remark in nameless.remarks())
    with pytest.raises(JoinError, match=r"TENX1 has a picture but no .*TENX1\.h5ad"):
        without.read_expression()
    (root / "metadata" / "NCBI2.json").write_text("{")
    with pytest.raises(ManifestError, match="is no JSON"):
        find_slides(root, "hest")
    with pytest.raises(DataError, match=r"holds neither st/\*\.h5ad nor wsis"):
        find_slides(root / "st", "hest")


def test_a_users_table_goes_before_hest_but_for_a_scale_it_leaves_out(tmp_path, facts):
    said = Circumstances({"TENX1": Said(replace(facts, slide="TENX1", patient="P9", mpp=None))})
    slide = only(written.write_hest(tmp_path), "hest", said)
    assert (slide.facts.patient, slide.facts.mpp) == ("P9", 2.5)


def test_a_legacy_section_joins_counts_spots_and_picture_by_name(tmp_path):
    written.write_legacy(tmp_path / "one", "S1")
    written.write_legacy(tmp_path / "two", "S2", selected=range(15), picture=None)
    first, second = find_slides(tmp_path, "st")
    assert (first.facts.slide, first.facts.mpp_source) == ("S1", "pitch")
    assert first.facts.mpp == pytest.approx(5)  # 200 um over 40 px
    found = first.read_expression()
    assert found.names[5] == "2x2"
    np.testing.assert_array_equal(found.xy_px[5], [100, 90])
    assert dict(zip(found.genes, found.counts.toarray()[5], strict=True)) == {"ERBB2": 6, "KRT19": 0, "VIM": 2}
    assert found.spot_um == 100
    assert first.open_image().size_px == (400, 300)
    assert len(second.read_expression().names) == 15  # those the user had selected
    assert any("no picture of its name" in remark for remark in second.remarks())


LEGACY = {
    "swapped": ({"swap": True}, lambda folder: None, JoinError, "x and y look swapped"),
    "outside": ({"picture": (150, 150)}, lambda folder: None, JoinError, "lie outside the image of 150 x 150"),
    "no counts": ({}, lambda folder: (folder / "S1.tsv").unlink(), CountsError, "has no counts; expected S1.tsv"),
    "not a number": (
        {},
        lambda folder: (folder / "S1.tsv").write_text("\tERBB2\n1x1\tNaN\n"),
        CountsError,
        "row '1x1', gene 'ERBB2': got NaN",
    ),
    "negative": (
        {},
        lambda folder: (folder / "S1.tsv").write_text("\tERBB2\n1x1\t-3\n"),
        CountsError,
        "got -3; expected a count",
    ),
    "other section": (
        {},
        lambda folder: (folder / "S1.tsv").write_text("\tERBB2\n90x91\t3\n"),
        JoinError,
        "0 of 1 counts rows match one of 20 spot positions",
    ),
}


@pytest.mark.parametrize("fault", LEGACY)
def test_a_damaged_legacy_section_says_its_own_reason(tmp_path, fault):
    how, harm, error, reason = LEGACY[fault]
    folder = written.write_legacy(tmp_path / "S", **how)
    harm(folder)
    slide = only(folder, "st")
    assert slide.facts.slide == "S1"
    with pytest.raises(error, match=reason):
        slide.read_expression()


def test_a_section_without_positions_is_told_and_two_of_one_name_are_refused(tmp_path):
    written.write_legacy(tmp_path, "S1")
    written.write_legacy(tmp_path, "S2")
    (tmp_path / "S2_selection.tsv").unlink()
    _, half = find_slides(tmp_path, "st")
    with pytest.raises(JoinError, match=r"S2 has counts and a picture but no positions; expected S2_selection\.tsv"):
        half.read_expression()
    written.write_legacy(tmp_path / "again", "S1", picture=None)
    with pytest.raises(DataError, match="are both of section 'S1'"):
        find_slides(tmp_path, "st")


def test_st_bank_ranks_stand_in_for_counts_and_that_is_said(tmp_path):
    rows = ("img_path,label", "image/A/s1.png,KRT19 HER2 VIM", "image/B/s2.png,VIM KRT19", "image/B/s3.png,CD3D")
    (tmp_path / "text.csv").write_text("\n".join([*rows, ""]))
    first, second = find_slides(tmp_path, "st-bank", Circumstances(tables=shipped_tables()))
    assert [one.facts.slide for one in (first, second)] == ["A", "B"]
    found = first.read_expression()
    assert (found.names, found.genes, found.xy_px) == (["s1"], ("KRT19", "ERBB2", "VIM"), None)
    np.testing.assert_array_equal(found.counts.toarray(), [[3, 2, 1]])
    assert second.read_expression().names == ["s2", "s3"]
    assert any("ranks of its gene sentences, not measured" in remark for remark in first.remarks())
    (tmp_path / "text.csv").write_text("image,text\na.png,VIM\n")
    with pytest.raises(CountsError, match=r"has no column img_path, label \(it has: image, text\)"):
        find_slides(tmp_path, "st-bank")


def test_a_chosen_column_labels_the_rows_of_h5ad(tmp_path):
    types = ["tumour", None, *["stroma"] * 18]
    written.write_spots_h5ad(tmp_path / "a.h5ad", cell_type=pd.Categorical(types))
    found = only(tmp_path, "h5ad", Circumstances(label_column="cell_type")).read_expression()
    assert found.labels[:3] == ("tumour", None, "stroma")
    assert only(tmp_path, "h5ad").read_expression().labels is None
    with pytest.raises(CountsError, match=r"has no label column 'type'; expected one of: array_row, array_col, cell_t"):
        only(tmp_path, "h5ad", Circumstances(label_column="type")).read_expression()
    with pytest.raises(DataError, match="Files of 10x have no column 'type' to label rows by"):
        find_slides(tmp_path, "10x", Circumstances(label_column="type"))


def test_counts_of_h5ad_are_those_of_raw_where_x_is_normalised(tmp_path):
    cells = anndata.AnnData(sp.csr_matrix(np.array([[3, 0], [1, 2]], dtype=np.float32)))
    cells.var_names = ["ENSG00000141736", "ENSG00000026025"]
    cells.var["feature_name"] = ["NEU", "VIM"]
    cells.raw = cells
    cells.X = cells.X * 0.3
    cells.write_h5ad(tmp_path / "a.h5ad")
    slide = only(tmp_path, "h5ad", Circumstances(tables=shipped_tables()))
    found = slide.read_expression()
    np.testing.assert_array_equal(found.counts.toarray(), [[3, 0], [1, 2]])
    assert found.genes == slide.read_genes() == ("ERBB2", "VIM")  # by its id, as CELLxGENE writes it
    assert any("counts are those of raw" in remark for remark in slide.remarks())


def wrong(path, **parts):
    cells = anndata.AnnData(parts.pop("X", np.ones((20, 3), dtype=np.float32)))
    cells.var_names = parts.pop("genes", ["ERBB2", "KRT19", "VIM"])
    for name, value in parts.items():
        cells.obsm[name] = value
    cells.write_h5ad(path)


H5AD = {
    "positions of three": (
        lambda path: wrong(path, spatial=np.ones((20, 3))),
        JoinError,
        r"positions of shape \(20, 3\)",
    ),
    "positions not finite": (
        lambda path: wrong(path, spatial=np.full((20, 2), np.nan)),
        JoinError,
        r"expected finite \(n, 2\)",
    ),
    "scaled": (lambda path: wrong(path, X=np.full((20, 3), -0.5, np.float32)), CountsError, "got -0.5; expected raw"),
    "missing": (lambda path: wrong(path, X=np.full((20, 3), np.nan, np.float32)), CountsError, "got nan; expected raw"),
    "no rows": (lambda path: wrong(path, X=np.ones((0, 3), np.float32)), CountsError, r"X has the shape \(0, 3\)"),
}


@pytest.mark.parametrize("fault", H5AD)
def test_an_h5ad_of_the_wrong_shape_says_its_own_reason(tmp_path, fault):
    harm, error, reason = H5AD[fault]
    harm(tmp_path / "a.h5ad")
    with pytest.raises(error, match=reason):
        only(tmp_path, "h5ad").read_expression()


def test_a_table_on_its_side_is_told(tmp_path):
    (tmp_path / "a.csv").write_text("gene,AAAC-1,AAAG-1\nERBB2,1,2\nKRT19,3,4\nVIM,5,6\n")
    around = Circumstances(tables=shipped_tables())
    with pytest.raises(CountsError, match=r"its 3 rows are genes, such as 'ERBB2', and none of its 2 columns is"):
        only(tmp_path, "cells-by-genes", around).read_expression()
    assert only(tmp_path, "genes-by-cells", around).read_expression().genes == ("ERBB2", "KRT19", "VIM")


def test_spots_outside_the_picture_and_swapped_axes_of_h5ad_say_so(tmp_path, facts):
    slide = only(written.write_hest(tmp_path), "hest")
    xy = slide.read_expression().xy_px
    with (
        closing(slide.open_image()) as image,
        pytest.raises(JoinError, match=r"20 of 20 positions lie outside the image"),
    ):
        check_inside(xy + 1000, image, slide.facts)
    swapped = anndata.read_h5ad(tmp_path / "st" / "TENX1.h5ad")
    swapped.obsm["spatial"] = swapped.obsm["spatial"][:, ::-1].copy()
    swapped.write_h5ad(tmp_path / "st" / "TENX1.h5ad")
    with pytest.raises(JoinError, match="x and y look swapped"):
        only(tmp_path, "hest").read_expression()
