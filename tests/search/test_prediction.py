"""Predicted expression on planted tissue, and the published modes by their formulas."""

import json

import numpy as np
import pytest

from search import ItemQuery, PatchQuery
from search.errors import QueryError
from search.expression.prediction import TEMPERATURE
from search.profiles import log_per_10k

SPOT = "B1/spot/s0"


def neighbours(engine, query, k, target="expression"):
    hits = engine.search(query, target=target, k=k).to_pandas()
    rows = engine.catalogue.rows_of(hits["id"].tolist())
    return hits["score"].to_numpy(np.float64), log_per_10k(engine.catalogue, rows).toarray().astype(np.float64)


def test_a_tumour_tile_is_predicted_to_express_tumour_genes(engine):
    tile = "A1/tile/100x500"
    found = engine.predict_expression(ItemQuery(tile), n_genes=10, k=20)
    frame = found.to_pandas()
    assert all(gene.startswith("TUM") for gene in frame["gene"])
    assert (frame["predicted"] > frame["index_mean"]).all()
    assert frame["measured"].isna().all()  # a tile has no counts
    assert 1 <= found.n_effective <= 20
    assert any("Own slide 'A1' left out" in note for note in found.notes)
    assert json.dumps(found.to_dict())


def test_softmax_mode_is_its_formula(engine):
    scores, values = neighbours(engine, ItemQuery(SPOT), 15)
    weights = np.exp(scores / TEMPERATURE)
    weights /= weights.sum()
    found = engine.predict_expression(ItemQuery(SPOT), genes=engine.index.genes, k=15)
    frame = found.to_pandas()
    mean = weights @ values
    assert frame["predicted"].to_numpy() == pytest.approx(mean, abs=1e-5)
    assert frame["sd"].to_numpy() == pytest.approx(np.sqrt(weights @ (values - mean) ** 2), abs=1e-5)
    assert found.n_effective == pytest.approx(1 / np.sum(weights**2))


def test_bleep_mode_is_the_plain_mean_of_fifty(engine):
    _, values = neighbours(engine, ItemQuery(SPOT), 50)
    found = engine.predict_expression(ItemQuery(SPOT), genes=engine.index.genes, mode="mean50")
    assert found.to_pandas()["predicted"].to_numpy() == pytest.approx(values.mean(axis=0), abs=1e-5)
    assert found.n_effective == pytest.approx(50)


def test_raw_mode_is_the_published_formula(engine):
    scores, values = neighbours(engine, ItemQuery(SPOT), 10_000)
    found = engine.predict_expression(ItemQuery(SPOT), genes=engine.index.genes, mode="raw")
    expected = (scores @ values) / scores.sum()
    assert found.to_pandas()["predicted"].to_numpy() == pytest.approx(expected, rel=1e-5)
    assert any("negative" in note for note in found.notes)
    assert found.table.column("sd").null_count == len(found)


def test_measured_values_stand_beside_where_there_are_counts(engine):
    frame = engine.predict_expression(ItemQuery(SPOT), genes=["TUM1", "IMM1"]).to_pandas()
    own = log_per_10k(engine.catalogue, np.array([engine.catalogue.row_of(SPOT)])).toarray()[0]
    assert frame["measured"].tolist() == pytest.approx([own[engine.index.genes.index(g)] for g in ("TUM1", "IMM1")])


def test_unknown_genes_are_named(engine):
    found = engine.predict_expression(ItemQuery(SPOT), genes=["TUM1", "NOSUCH", "TUM1"])
    assert found.to_pandas()["gene"].tolist() == ["TUM1"]
    assert any("NOSUCH" in note for note in found.notes)
    with pytest.raises(QueryError, match="NOSUCH"):
        engine.predict_expression(ItemQuery(SPOT), genes=["NOSUCH"])
    with pytest.raises(QueryError, match="empty list"):
        engine.predict_expression(ItemQuery(SPOT), genes=[])


def test_errors(engine):
    with pytest.raises(QueryError, match="No item with counts"):
        engine.predict_expression(ItemQuery(SPOT), where="kind = 'tile'")
    with pytest.raises(QueryError, match="mode='best'"):
        engine.predict_expression(ItemQuery(SPOT), mode="best")
    with pytest.raises(QueryError, match="k is 0"):
        engine.predict_expression(ItemQuery(SPOT), k=0)


def test_pixels_are_predicted(engine, planted):
    pixels = np.full((100, 100, 3), planted.COLOURS[2], dtype=np.uint8)
    frame = engine.predict_expression(PatchQuery(pixels, mpp=1.0), n_genes=5).to_pandas()
    assert all(gene.startswith("IMM") for gene in frame["gene"])
