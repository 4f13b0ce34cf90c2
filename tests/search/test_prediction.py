"""Predicted expression on planted tissue, and the published modes by their formulas."""

import json

import numpy as np
import pytest

from search import ItemQuery, PatchQuery
from search.errors import QueryError
from search.expression.temperature import TEMPERATURES
from search.expression.weighting import PREDICTION_K, TEMPERATURE
from search.item_rows import vectors_of
from search.profiles import has_counts, log_per_10k

SPOT, STROMA = "B1/spot/s0", "B1/spot/s4"


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
    found = engine.predict_expression(ItemQuery(SPOT), genes=engine.index.genes, k=15)
    scores, values = neighbours(engine, ItemQuery(SPOT), 15)
    weights = np.exp(scores / found.temperature)
    weights /= weights.sum()
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


def test_raw_mode_is_the_published_formula_over_everything(engine):
    catalogue = engine.catalogue
    row = catalogue.row_of(STROMA)
    others = has_counts(catalogue) & catalogue.has("expression") & (catalogue.column("slide") != "B1")
    others &= np.isin(catalogue.column("kind"), ["spot", "cell", "transcriptome"])
    S = catalogue.vector(row, "image")[None].astype(np.float64)
    S = S @ vectors_of(catalogue, np.flatnonzero(others), "expression").T.astype(np.float64)
    counts = engine.index.expression(np.flatnonzero(others)).toarray().astype(np.float64)
    X = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    found = engine.predict_expression(ItemQuery(STROMA, "image"), genes=engine.index.genes, mode="raw")
    assert found.n_neighbours == others.sum()
    assert found.to_pandas()["predicted"].to_numpy() == pytest.approx(((S @ X) / S.sum(1))[0], rel=1e-6, abs=1e-6)
    assert any("negative" in note for note in found.notes)
    assert found.table.column("sd").null_count == len(found)


def test_raw_mode_does_not_turn_over_where_cosines_sum_to_less_than_nothing(engine):
    with pytest.raises(QueryError, match=r"sum to -\d.*unlike the query would count for it. Use 'softmax'"):
        engine.predict_expression(ItemQuery(SPOT), mode="raw")


def test_the_mean_is_the_same_for_every_query(engine):
    asked = {"genes": engine.index.genes, "mode": "mean", "exclude": "patient"}
    one, other = (engine.predict_expression(ItemQuery(spot), **asked).to_pandas() for spot in (SPOT, STROMA))
    assert one["predicted"].tolist() == other["predicted"].tolist()
    rows = np.flatnonzero((engine.catalogue.column("kind") == "spot") & (engine.catalogue.column("patient") != "B"))
    assert one["predicted"].to_numpy() == pytest.approx(log_per_10k(engine.catalogue, rows).toarray().mean(axis=0))


def test_ridge_is_fitted_on_other_patients_and_reads_pictures(engine):
    found = engine.predict_expression(ItemQuery(SPOT, "image"), genes=["TUM1", "IMM1"], mode="ridge")
    tumour, immune = found.to_pandas()["predicted"]
    assert tumour > immune + 1
    assert "16 spots of 1 other patient;" in found.notes[-1]
    with pytest.raises(QueryError, match="reads image vectors, and this query is of expression"):
        engine.predict_expression(ItemQuery(SPOT, "expression"), mode="ridge")


def test_weighting_is_fitted_without_the_asked_patient(engine):
    learned = engine._current().learned
    fit = learned.fit("expression", ("A",))
    assert fit.n_patients == 7
    assert fit.temperature in TEMPERATURES
    assert learned.fit("image", ()).n_patients == 2
    few = learned.fit("image", ("A",))
    assert (few.k, few.temperature, few.n_spots) == (PREDICTION_K, TEMPERATURE, 0)
    assert "is not fitted: fewer than 30 spots" in few.said()


def test_a_fit_is_kept_for_the_next_process(engine, planted, monkeypatch):
    first = engine._current().learned.fit("expression", ("C",))
    monkeypatch.setattr("search.expression.learned.fit_weighting", lambda *_, **__: pytest.fail("fitted again"))
    assert (
        type(engine)
        .open(engine.index.location, space=planted.planted_space())
        ._current()
        .learned.fit("expression", ("C",))
        == first
    )


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
