"""Cell types by mapping and by vote; references as tables and at two resolutions."""

from functools import partial

import numpy as np
import pytest

from search import CellVectors, ItemQuery, Manner, reference_from_counts, reference_from_table
from search.cells.annotated import composition_anndata
from search.cells.decomposition import marker_system
from search.cells.tangram import percentile_scaled, tangram_loss, tangram_mapping, tangram_shares
from search.cells.votes import votes_of
from search.errors import CellReferenceError, QueryError


@pytest.fixture(scope="module")
def reference(planted):
    tissues = np.repeat([0, 1, 2], 12)
    labels = [planted.TISSUES[t] for t in tissues]
    coarse = ["cancer" if label == "tumour" else "rest" for label in labels]
    return reference_from_counts(planted.counts_of(tissues, seed=99), planted.GENES, labels, coarse=coarse)


@pytest.fixture(scope="module")
def cells(engine, planted):
    tissues = np.repeat([0, 1, 2], 12)
    names = np.array([planted.TISSUES[t] for t in tissues])
    types, codes = np.unique(names, return_inverse=True)
    vectors = engine.space.expression.encode_counts(planted.counts_of(tissues, seed=99), planted.GENES).vectors
    return CellVectors(tuple(types.tolist()), codes, vectors)


def test_the_loss_is_the_published_one():
    import torch

    rng = np.random.default_rng(0)
    clusters, places = rng.gamma(1.0, size=(3, 8)), rng.gamma(1.0, size=(20, 8))
    logits, density = rng.standard_normal((3, 20)), np.array([0.5, 0.3, 0.2])
    mapping = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # As Tangram's optimiser writes it down: cosine over the places, KLDivLoss(log d_pred, d).
    m = torch.softmax(torch.tensor(logits), dim=1)
    cosine = torch.nn.functional.cosine_similarity(m.T @ torch.tensor(clusters), torch.tensor(places), dim=0).mean()
    even = torch.full((20,), 1 / 20, dtype=torch.float64)
    divergence = torch.nn.KLDivLoss(reduction="sum")(torch.log(torch.tensor(density) @ m), even)
    assert tangram_loss(mapping, clusters, places, density) == pytest.approx(float(divergence - cosine), abs=1e-10)


def test_the_mapping_makes_it_small_and_is_the_same_each_time():
    rng = np.random.default_rng(1)
    clusters, density = rng.gamma(0.5, size=(3, 30)), np.full(3, 1 / 3)
    truth = rng.dirichlet([0.3] * 3, 60)
    places = truth @ clusters
    mapping = tangram_mapping(clusters, places, density, epochs=120)
    assert mapping.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    start = tangram_mapping(clusters, places, density, epochs=0)
    assert tangram_loss(mapping, clusters, places, density) < tangram_loss(start, clusters, places, density) - 0.1
    assert np.array_equal(mapping, tangram_mapping(clusters, places, density, epochs=120))
    assert np.corrcoef(tangram_shares(mapping).ravel(), truth.ravel())[0, 1] > 0.9
    twice = tangram_shares(mapping, np.array([2.0, 1.0, 1.0]))
    assert (twice[:, 0] >= tangram_shares(mapping)[:, 0]).all()


def test_non_maximum_suppression_keeps_one_type():
    values = np.column_stack([np.linspace(0, 1, 101), np.linspace(10, 0, 101), np.zeros(101)])
    scaled = percentile_scaled(values)
    assert (scaled.min(), scaled.max()) == (0.0, 1.0)
    assert scaled[5, 0] == pytest.approx(0.0)
    assert scaled[95, 0] == pytest.approx(1.0)
    assert not scaled[:, 2].any()
    kept = tangram_shares(values.T, nms=True)
    assert kept.sum(axis=1) == pytest.approx(np.ones(101))
    assert kept[100, 0] == kept[0, 1] == 1.0


def test_a_slide_is_mapped_and_voted_on(engine, reference, cells, monkeypatch):
    monkeypatch.setattr("search.cells.slide_vectors.tangram_mapping", partial(tangram_mapping, epochs=120))
    right = engine.decompose_slide("A1", reference).table.column("dominant").to_pylist()
    for given, method in ((reference, "tangram"), (cells, "tangram"), (cells, "votes")):
        found = engine.decompose_slide("A1", given, manner=Manner(method=method))
        assert found.proportions.sum(axis=1).to_numpy() == pytest.approx(np.ones(len(found)), abs=1e-5)
        assert np.mean(np.array(found.table.column("dominant").to_pylist()) == np.array(right)) > 0.9, method
        assert np.isnan(found.shares.sd).all() == (method == "tangram")


def test_votes_of_one_query(engine, cells):
    found = engine.decompose(ItemQuery("A1/tile/900x500"), cells, manner=Manner(method="votes"))
    table = found.to_pandas()
    assert table.iloc[0]["type"] == "immune"
    assert table["proportion"].sum() == pytest.approx(1)
    assert (table["low"] <= table["proportion"]).all()
    assert 1 <= found.n_effective <= 36
    with pytest.raises(QueryError, match="maps all places of a slide at once"):
        engine.decompose(ItemQuery("A1/spot/s0", "expression"), cells_reference(engine, cells), manner=TANGRAM)
    with pytest.raises(QueryError, match="cannot tell one query"):
        engine.decompose(ItemQuery("A1/spot/s0"), cells)


TANGRAM = Manner(method="tangram")


def cells_reference(engine, cells):
    names = [cells.types[code] for code in cells.codes]
    rows = np.flatnonzero(engine.catalogue.column("kind") == "spot")[: len(names)]
    counts = engine.index.expression(rows)
    return reference_from_counts(counts, engine.index.genes, (names * 3)[: counts.shape[0]], min_cells=1)


def test_a_type_with_few_cells_weighs_as_much_as_one_with_many():
    rng = np.random.default_rng(2)
    vectors = np.vstack([rng.normal([1, 0], 0.01, (50, 2)), rng.normal([0, 1], 0.01, (5, 2))]).astype(np.float32)
    cells = CellVectors(("a", "b"), np.repeat([0, 1], [50, 5]), vectors)
    between = np.full((1, 2), np.sqrt(0.5), dtype=np.float32)
    assert votes_of(between, cells, n_samples=2).shares[0] == pytest.approx([0.5, 0.5], abs=0.02)
    assert votes_of(between, cells, n_samples=2, balanced=False).shares[0, 0] > 0.85


def test_finer_shares_sum_to_coarser_ones(engine, reference):
    assert reference.parents == ("rest", "rest", "cancer")
    found = engine.decompose_slide("A1", reference)
    fine = found.shares.proportions
    assert found.coarse.types == ("cancer", "rest")
    assert found.coarse.proportions == pytest.approx(np.column_stack([fine[:, 2], fine[:, 0] + fine[:, 1]]))
    one = engine.decompose(ItemQuery("A1/spot/s0", "expression"), reference)
    shares = {row["type"]: row["proportion"] for row in one.coarse}
    fine_of_one = one.to_pandas().set_index("type")["proportion"]
    assert shares["cancer"] == pytest.approx(fine_of_one["tumour"])
    made = composition_anndata(found)
    assert made.obsm["cell_type_fractions"].shape == (len(found), 3)
    assert list(made.obsm["cell_type_fractions_coarse"].columns) == ["cancer", "rest"]


def test_methods_that_do_not_fit(engine, reference, cells):
    with pytest.raises(QueryError, match="compares with single cells"):
        engine.decompose_slide("A1", reference, manner=Manner(method="votes"))
    with pytest.raises(QueryError, match="decomposes counts"):
        engine.decompose_slide("A1", cells)
    with pytest.raises(QueryError, match="shares of cells, not of RNA"):
        Manner(method="votes", of="rna")
    with pytest.raises(QueryError, match="nms is a step of method 'tangram'"):
        Manner(nms=True)
    with pytest.raises(QueryError, match="maps types onto places, and here is 1"):
        engine.decompose_slide("A1", reference, items=["A1/spot/s0"], manner=TANGRAM)


def test_signature_tables(tmp_path, engine, reference):
    path = tmp_path / "types.tsv"
    lines = ["\t".join(["gene", *reference.types])]
    rows = zip(reference.genes, reference.profiles.T, strict=True)
    path.write_text("\n".join(lines + ["\t".join([g, *map(repr, v.tolist())]) for g, v in rows]), encoding="utf-8")
    table = reference_from_table(path)
    assert table.types == reference.types
    rna = Manner(of="rna")
    found = engine.decompose_slide("A1", table).shares.proportions
    assert found == pytest.approx(engine.decompose_slide("A1", reference, manner=rna).shares.proportions, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gene,a,b\nX,1,-2\nY,1,1", "value -2"),
        ("gene,a,b\nX,1,\nY,1,1", "value nan"),
        ("gene,a\nX,1", "two or more"),
        ("gene,a,b\nX,1,low", "holds text"),
        ("gene,a,b\n", "no rows"),
        ("gene,a,b\nX,1,0", "types b .* no expression"),
    ],
)
def test_tables_that_are_no_signatures(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CellReferenceError, match=message):
        reference_from_table(path)


def test_references_that_do_not_tell_types_apart(planted, reference):
    counts = planted.counts_of([0, 0, 1, 1])
    with pytest.raises(CellReferenceError, match="of cancer, rest"):
        reference_from_counts(counts, planted.GENES, list("aabb"), coarse=["cancer", "rest", "rest", "rest"])
    with pytest.raises(CellReferenceError, match="value of -1"):
        reference_from_counts(-counts.minimum(1), planted.GENES, list("aabb"))
    twins = np.repeat([[4.0, 0.0, 1.0]], 2, axis=0)
    alike = type(reference)(("a", "b"), ("X", "Y", "Z"), twins, (2, 2), (1.0, 1.0))
    with pytest.raises(CellReferenceError, match="types a and b are the same"):
        marker_system(alike, ("X", "Y", "Z"), markers=["X", "Z"])
    dependent = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    three = type(reference)(("a", "b", "c"), ("X", "Y"), dependent, (2,) * 3, (1.0,) * 3)
    with pytest.raises(CellReferenceError, match="one profile is a sum of others"):
        marker_system(three, ("X", "Y"), markers=["X", "Y"])
    with pytest.raises(CellReferenceError, match="types b express none"):
        marker_system(
            type(reference)(("a", "b"), ("X", "Y"), np.array([[2.0, 1.0], [0.0, 1.0]]), (2, 2), (1.0, 1.0)),
            ("X",),
            markers=["X"],
        )
