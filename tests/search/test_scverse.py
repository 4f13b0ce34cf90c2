"""Verbs on AnnData: results in obsm, layers and uns, X untouched, names by symbol or Ensembl id."""

import anndata
import numpy as np
import pytest
from PIL import Image

from search.cells.reference import reference_from_counts
from search.errors import QueryError
from search.scverse import decompose, predict_expression
from search.scverse.predicting import From

TISSUES = np.array([0, 0, 1, 1, 2, 2])


@pytest.fixture
def adata(planted):
    made = anndata.AnnData(planted.counts_of(TISSUES, seed=5))
    made.var_names = list(planted.GENES)
    return made


def test_counts_are_answered_by_the_index(adata, engine):
    before = adata.X.copy()
    predict_expression(adata, engine, patients=["A"])
    assert (before != adata.X).nnz == 0
    predicted = adata.layers["predicted"]
    assert predicted.shape == adata.layers["predicted_sd"].shape == adata.shape
    assert [int(np.argmax([row[:10].mean(), row[10:20].mean(), row[20:].mean()])) for row in predicted] == list(TISSUES)
    assert np.linalg.norm(adata.obsm["X_planted"], axis=1) == pytest.approx(1.0)
    assert (adata.obs["predicted_n_effective"] >= 1).all()
    assert adata.var["predicted_predictability"].notna().all()
    kept = adata.uns["histoseek"]["predicted"]
    assert kept["excluded_patients"] == ["A"]
    assert kept["licences"] == ["one: CC0", "two: CC0"]


def test_results_are_written_and_read(adata, engine, tmp_path):
    predict_expression(adata, engine, mode="mean50", key_added="bleep")
    adata.write_h5ad(tmp_path / "a.h5ad")
    assert np.array_equal(anndata.read_h5ad(tmp_path / "a.h5ad").layers["bleep"], adata.layers["bleep"])


def test_other_variables_and_empty_observations_are_nan(adata, engine, planted):
    adata.var_names = ["NOTAGENE", *planted.GENES[1:]]
    adata.X[2] = 0
    predict_expression(adata, engine)
    missing = np.isnan(adata.layers["predicted"])
    assert missing[:, 0].all()
    assert missing[2].all()
    assert not missing[[0, 1, 3, 4, 5], 1:].any()


def test_the_tissue_around_places_is_asked_with(adata, engine, planted, tmp_path):
    pixels = planted.PlantedImage(3).thumbnail(planted.SIDE_PX)
    Image.fromarray(pixels).save(tmp_path / "slide.png")
    adata.obsm["spatial"] = np.stack([200.0 + 400 * TISSUES, np.linspace(200, 1000, 6)], axis=1)
    source = From("image", picture=tmp_path / "slide.png", mpp=1.0)
    predict_expression(adata, engine, source)
    tumour = adata.layers["predicted"][:, :10].mean(axis=1)
    assert tumour[:2].min() > tumour[2:].max() + 0.3
    with pytest.raises(QueryError, match="how large its pixels are"):
        predict_expression(adata, engine, From("image", picture=tmp_path / "slide.png"))
    adata.obsm["spatial"] += 1e6
    with pytest.raises(QueryError, match="outside the picture of 1200 x 1200 px"):
        predict_expression(adata, engine, source)


def test_vectors_made_before_are_asked_with(adata, engine, planted):
    adata.obsm["X_mine"] = 3 * np.eye(3, dtype=np.float32)[TISSUES] - 1
    predict_expression(adata, engine, From("image", obsm="X_mine"), mode="ridge")
    assert adata.layers["predicted"][0, 0] > adata.layers["predicted"][5, 0]
    with pytest.raises(QueryError, match=r"no obsm\['X_other'\]"):
        predict_expression(adata, engine, From("image", obsm="X_other"))
    adata.obsm["X_mine"] = adata.obsm["X_mine"][:, :2]
    with pytest.raises(QueryError, match="expected finite vectors of 3 dimensions"):
        predict_expression(adata, engine, From("image", obsm="X_mine"))


def test_cell_types_are_told_from_counts(adata, engine, planted):
    cells = planted.counts_of(np.repeat([0, 1, 2], 12), seed=9)
    reference = reference_from_counts(cells, planted.GENES, np.repeat(planted.TISSUES, 12).tolist())
    decompose(adata, engine, reference)
    shares = adata.obsm["cell_type_fractions"]
    assert shares.sum(axis=1).to_numpy() == pytest.approx(1.0)
    assert shares.idxmax(axis=1).tolist() == [planted.TISSUES[t] for t in TISSUES]
    assert adata.uns["histoseek"]["cell_type_fractions"]["shares_of"] == "cells"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: setattr(a, "X", -a.X), "negative or missing"),
        (lambda a: setattr(a, "var_names", [f"x{i}" for i in range(a.n_vars)]), "None of the 30 variables"),
        (lambda a: setattr(a, "X", a.X * 0), "No observation has a count"),
    ],
)
def test_counts_that_cannot_be_asked_with(adata, engine, spoil, message):
    spoil(adata)
    with pytest.raises(QueryError, match=message):
        predict_expression(adata, engine)


def test_layers_are_found_by_name(adata, engine):
    with pytest.raises(QueryError, match="no layer 'raw'"):
        predict_expression(adata, engine, From(layer="raw"))
    with pytest.raises(QueryError, match="needs the slide's picture"):
        predict_expression(adata, engine, From("image"))
