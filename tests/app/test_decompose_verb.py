"""`histoseek decompose` of whole slides: files, the map, and what it refuses."""

import json

import numpy as np
import pytest

from app.errors import ShowError
from app.exports.composition_files import check_suffix, write_composition
from app.figures.composition import composition_figure
from search import Manner


@pytest.fixture(scope="module")
def made(small_db):
    from app.cell_types import generated_reference
    from search import Engine

    engine = Engine.open(small_db)
    slide = engine.index.slides().column("slide")[0].as_py()
    return engine, engine.decompose_slide(slide, generated_reference(), manner=Manner(of="rna"))


def test_files_hold_the_shares(made, tmp_path):
    import anndata
    import pandas as pd

    engine, found = made
    table = pd.read_csv(write_composition(found, engine, tmp_path / "shares.csv"), index_col="id")
    assert np.allclose(table[list(found.shares.types)], found.shares.proportions)
    data = anndata.read_h5ad(write_composition(found, engine, tmp_path / "shares.h5ad"))
    assert np.allclose(data.obsm["cell_type_fractions"].sum(axis=1), 1)
    assert (data.obsm["spatial"] >= 0).all()
    assert json.loads(data.uns["histoseek"]["query"])["slide"] == found.slide


@pytest.mark.parametrize("kind", ["pies", "dominant"])
def test_the_map_has_a_legend_and_a_scale_bar(made, kind):
    engine, found = made
    figure = composition_figure(found, engine, kind=kind)
    (axes,) = figure.axes
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert len(named) == min(len(found.shares.types), 8)
    assert all("%" in name for name in named)
    assert any("m" in text.get_text() for text in axes.texts)  # of the scale bar


def test_the_verb_writes_a_slide_by_a_signature_table(made, histoseek, small_db, tmp_path):
    from app.cell_types import generated_reference

    found = made[1]

    reference = generated_reference()
    table = tmp_path / "types.csv"
    lines = [",".join(["gene", *reference.types])]
    lines += [
        f"{gene}," + ",".join(map(str, row)) for gene, row in zip(reference.genes, reference.profiles.T, strict=True)
    ]
    table.write_text("\n".join(lines), encoding="utf-8")
    asked = ("decompose", "--slide", found.slide, "--reference", table, "--db", small_db, "--json")
    ran = histoseek(*asked, "--out", tmp_path / "map.png", "--out", tmp_path / "shares.parquet")
    assert ran.code == 0, ran.stderr
    assert len(json.loads(ran.stdout)["rows"]) == len(found)
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "shares.parquet").is_file()
    refused = histoseek(*asked, "--coarse", "major")
    assert (refused.code, "signature table" in refused.stderr) == (1, True)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ShowError, match=r"shares.doc is no file .* \.h5ad, \.csv"):
        check_suffix(tmp_path / "shares.doc")
