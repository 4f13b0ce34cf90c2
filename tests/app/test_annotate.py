"""`histoseek annotate`: tables, regions for QuPath, h5ad and a picture of a generated slide."""

import json

import anndata as ad
import pandas as pd
import pytest

from indexer.tissue.regions import read_regions

MARKERS = "tumour: EPCAM KRT8 KRT19 ERBB2\nstroma: COL1A1 COL1A2 DCN LUM\nimmune: CD3E CD2 PTPRC CXCR4\n"


@pytest.fixture(scope="module")
def slide(small_db):
    from search import Engine

    return Engine.open(small_db).index.slides().column("slide")[0].as_py()


@pytest.fixture
def markers(tmp_path):
    path = tmp_path / "markers.yaml"
    path.write_text(MARKERS)
    return path


def test_all_files_of_one_annotation_agree(histoseek, small_db, slide, markers, tmp_path):
    out = [tmp_path / f"found.{kind}" for kind in ("geojson", "csv", "h5ad", "png")]
    ran = histoseek(
        "annotate", slide, "--markers", markers, "--db", small_db, "--json", *[a for o in out for a in ("--out", o)]
    )
    assert ran.code == 0, ran.stderr
    answer = json.loads(ran.stdout)
    frame = pd.read_csv(out[1])
    assert [row["class"] for row in answer["rows"]] == frame["class"].tolist()
    regions = json.loads(out[0].read_text())
    shown = set(frame["class"]) - {"unassigned"}
    for feature in regions["features"]:
        told = feature["properties"]
        assert told["objectType"] == "annotation"
        assert told["classification"]["name"] in shown
        assert len(told["classification"]["color"]) == 3
        assert all(isinstance(value, float) for value in told["measurements"].values())
        ring = feature["geometry"]["coordinates"][0]
        assert ring[0] == ring[-1]
    kind = frame["id"][0].split("/")[1]
    assert (
        sum(f["properties"]["measurements"][f"{kind}s"] for f in regions["features"])
        == (frame["class"] != "unassigned").sum()
    )
    assert {region.name for region in read_regions(out[0]).keep} == shown  # our own reader takes them back
    cells = ad.read_h5ad(out[2])
    assert cells.obs["class"].astype(str).tolist() == frame["class"].tolist()
    assert list(cells.obsm["annotation"].columns) == ["tumour", "stroma", "immune"]
    assert cells.obsm["spatial"] == pytest.approx(frame[["x_px", "y_px"]].to_numpy(), rel=1e-5)
    assert out[3].read_bytes().startswith(b"\x89PNG")


def test_the_table_counts_the_classes(histoseek, small_db, slide, markers):
    ran = histoseek("annotate", slide, "--markers", markers, "--db", small_db, "--using", "image", "--smooth")
    assert ran.code == 0, ran.stderr
    assert f"Classes on {slide}" in ran.stdout
    assert "tumour" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Got no classes; give exactly one of --markers"),
        (("--set", "breast-cells", "--bulk", "x.csv"), "Got --set and --bulk"),
        (("--set", "lung"), "There is no marker set 'lung'; known: breast-cells"),
        (("--markers", "/nowhere/m.yaml"), "Cannot read the markers /nowhere/m.yaml"),
        (("--set", "breast-cells", "--out", "x.doc"), "x.doc is no file that annotations are written to"),
        (("--bulk", "/nowhere/b.csv"), "Cannot read the profiles /nowhere/b.csv"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(histoseek, small_db, slide, arguments, message):
    ran = histoseek("annotate", slide, "--db", small_db, *arguments)
    assert ran.code == 1
    assert message in ran.stderr
