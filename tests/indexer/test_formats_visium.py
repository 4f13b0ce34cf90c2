"""Visium `outs` of every layout, 10x matrices, and what is said of damaged ones."""

import gzip
from dataclasses import replace

import h5py
import numpy as np
import pytest

from indexer.datasets.manifest import load_manifest
from indexer.errors import CountsError, DataError, JoinError, ManifestError
from indexer.format import Circumstances, Said
from indexer.formats import find_slides
from indexer.slides import SlideFacts
from indexer.sources import open_sources
from tests.indexer import written_files as written


def only(place, name="visium", around=None):
    (slide,) = find_slides(place, name, around)
    return slide


@pytest.mark.parametrize("old", [False, True], ids=["header", "no header"])
@pytest.mark.parametrize("h5", [False, True], ids=["mtx", "h5"])
def test_outs_of_each_layout_read_the_same(tmp_path, old, h5):
    slide = only(written.write_outs(tmp_path / "V1" / "outs", old=old, h5=h5))
    assert (slide.facts.slide, slide.facts.technology, slide.facts.species) == ("V1", "10x Visium", "human")
    assert slide.facts.mpp == pytest.approx(2.5)  # 100 um over the 40 px from spot to spot
    assert slide.facts.mpp_source == "pitch"
    found = slide.read_expression()
    assert found.genes == ("ERBB2", "KRT19", "VIM")
    np.testing.assert_array_equal(found.counts.toarray()[4], [5, 10, 15 + 20])  # fifth spot; VIM is there twice
    np.testing.assert_allclose(found.xy_px[4], [80, 50 + 40 * 3**0.5 / 2])  # column 1 of row 1
    assert found.spot_um == 55
    assert slide.read_genes() == found.genes
    assert slide.gene_report().summed == ("VIM",)
    assert any("1 features that are no genes are left out" in remark for remark in slide.remarks())


def test_the_small_picture_stands_in_the_frame_of_the_large_one(tmp_path):
    slide = only(written.write_outs(tmp_path / "V1"))
    image = slide.open_image()
    assert image.size_px == (300, 280)
    assert slide.image_path is None  # whoever reads the index later must not cut from the small one
    assert slide.files[-1].name == "tissue_hires_image.png"
    assert tuple(image.read(120, 140, 20, 4)[0, 0]) == (0, 0, 0)
    assert tuple(image.read(180, 140, 20, 4)[0, 0]) == (200, 100, 150)  # the colour starts at x 150
    assert "5.0 um per pixel stands in" in slide.remarks()[-1]


def test_a_picture_too_coarse_for_tissue_is_left_out_and_told(tmp_path):
    slide = only(written.write_outs(tmp_path / "V1", tissue_hires_scalef=0.1))
    assert slide.open_image() is None
    assert "25.0 um per pixel" in slide.remarks()[-1]


def test_the_files_own_scale_goes_before_the_pitch_and_the_users_before_both(tmp_path, facts):
    outs = written.write_outs(tmp_path / "V1", microns_per_pixel=2.4)
    assert (only(outs).facts.mpp, only(outs).facts.mpp_source) == (2.4, "file")
    wrong = Circumstances({"V1": Said(replace(facts, slide="V1"))})  # 5 um per pixel
    assert only(outs, around=wrong).facts.mpp == 5
    with pytest.raises(JoinError, match="has mpp 5, but its spots, 100 um apart, lie 40"):
        only(outs, around=wrong).read_expression()


def test_a_table_says_who_the_slides_of_a_folder_are(tmp_path):
    for name in ("V1", "V2"):
        written.write_outs(tmp_path / name / "outs")
    said = SlideFacts("V2", "P7", "mine", "breast", "none", "unknown", "human", "CC0-1.0", "none")
    first, second = find_slides(tmp_path, "visium", Circumstances({"V2": Said(said)}, cohort="folder"))
    assert (first.facts.patient, first.facts.cohort) == ("V1", "folder")
    assert (second.facts.patient, second.facts.cohort, second.facts.technology) == ("P7", "mine", "10x Visium")
    with pytest.raises(DataError, match=r"they are 'V1', 'V2', the table has 'V9'"):
        find_slides(tmp_path, "visium", Circumstances({"V9": Said(said)}))


def test_cells_of_10x_are_found_in_a_folder(tmp_path):
    written.write_h5(tmp_path / "a.h5")
    written.write_mtx(tmp_path / "b")
    slides = find_slides(tmp_path, "10x")
    assert [(one.facts.slide, one.kind) for one in slides] == [("a", "cell"), ("b", "cell")]
    tables = [one.read_expression().counts.toarray() for one in slides]
    np.testing.assert_array_equal(*tables)


def swapped(outs):
    written.write_positions(outs / "spatial", [(*row[:4], row[5], row[4]) for row in written.spot_rows()])


def other_run(outs):
    written.write_positions(outs / "spatial", [(f"X{row[0]}", *row[1:]) for row in written.spot_rows()])


def cut_matrix(outs):
    path = outs / "filtered_feature_bc_matrix" / "matrix.mtx.gz"
    path.write_bytes(path.read_bytes()[:60])


def renamed_text(outs):
    (outs / "filtered_feature_bc_matrix.h5").write_text("not an h5 file")


def cut_h5(outs):
    path = outs / "filtered_feature_bc_matrix.h5"
    written.write_h5(path)
    path.write_bytes(path.read_bytes()[:1500])


def boastful_mtx(outs):
    header = b"%%MatrixMarket matrix coordinate integer general\n5 20 900000000000\n1 1 1\n"
    (outs / "filtered_feature_bc_matrix" / "matrix.mtx.gz").write_bytes(gzip.compress(header))


def boastful_h5(outs):
    path = outs / "filtered_feature_bc_matrix.h5"
    written.write_h5(path)
    with h5py.File(path, "r+") as file:
        del file["matrix/data"]
        file.create_dataset("matrix/data", shape=(10**12,), dtype="i4", chunks=(1000,))


BROKEN = {
    "more counts than bytes": (boastful_mtx, "says it has 900,000,000,000 counts in"),
    "more data than stored": (boastful_h5, "says it has 4,000,000,000,000 bytes of /matrix/data"),
    "no positions": (lambda outs: (outs / "spatial" / "tissue_positions.csv").unlink(), "has no tissue_positions.csv"),
    "no matrix": (
        lambda outs: [path.unlink() for path in (outs / "filtered_feature_bc_matrix").iterdir()],
        "has no matrix.mtx.gz",
    ),
    "swapped": (swapped, "x and y look swapped"),
    "other run": (other_run, "20 of 20 barcodes of the counts, such as 'BC00-1', are not among the 20"),
    "cut positions": (
        lambda outs: (outs / "spatial" / "tissue_positions.csv").write_text(",".join(written.HEADER) + "\nBC00-1,1,0"),
        "has no 6 columns in row 1",
    ),
    "cut matrix": (cut_matrix, "Cannot read .*matrix.mtx.gz"),
    "renamed text": (renamed_text, "damaged or no h5 file"),
    "cut h5": (cut_h5, "damaged or no h5 file|lacks"),
    "negative": (
        lambda outs: written.write_mtx(outs / "filtered_feature_bc_matrix", counts=-written.matrix()),
        "got -1; expected raw counts",
    ),
    "wrong shape": (
        lambda outs: written.write_mtx(outs / "filtered_feature_bc_matrix", counts=written.matrix(19)),
        "has 5 features and 19 barcodes; expected 5 and 20",
    ),
    "barcodes no text": (
        lambda outs: (outs / "filtered_feature_bc_matrix" / "barcodes.tsv.gz").write_bytes(gzip.compress(b"\xff\xfe")),
        "Cannot read .*barcodes",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_damaged_folder_says_its_own_reason(tmp_path, fault):
    outs = written.write_outs(tmp_path / "V1")
    harm, reason = BROKEN[fault]
    harm(outs)
    slide = only(outs)
    assert slide.facts.slide == "V1"  # it can still be listed, and failed under its name
    with pytest.raises((CountsError, JoinError), match=reason):
        slide.read_expression()


def test_a_place_without_slides_and_an_unknown_format_are_refused(tmp_path):
    with pytest.raises(DataError, match="neither `spatial` nor"):
        find_slides(tmp_path, "visium")
    with pytest.raises(DataError, match=r"no format .visum.; expected one of: .*visium .* 10x"):
        find_slides(tmp_path, "visum")
    for name in ("a/S1", "b/S1"):
        written.write_outs(tmp_path / name)
    with pytest.raises((DataError, ManifestError), match="both sample 'S1'"):
        find_slides(tmp_path, "visium")


@pytest.mark.real
def test_mouse_visium_of_the_manifest(mirror):
    (slide,) = open_sources("visium_mouse", manifest=load_manifest())
    assert slide.facts.mpp == pytest.approx(4.667, abs=1e-3)  # 100 um over 21.43 px
    assert (slide.facts.species, slide.facts.mpp_source) == ("mouse", "pitch")
    found = slide.read_expression()
    assert found.counts.shape[0] == 2898
    assert found.counts.sum() == 3_085_005  # the sum of the third column of the mtx
    spot = found.names.index("GTCAGTATGTCCGGCG-1")
    np.testing.assert_allclose(found.xy_px[spot], [319.7797117, 773.1826879])
    assert {"XKR4", "SOX17", "ACTA2"} <= set(found.genes)
    genes = slide.gene_report()
    assert (genes.species, genes.genes["renamed"][0]) == ("mouse", ("Xkr4", "XKR4"))
    assert genes.counts["renamed"] > 17_000
