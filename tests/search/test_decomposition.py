"""Cell types: planted mixtures, references that cannot be used, and the published proportions of her2st."""

import json

import numpy as np
import pytest
import scipy.sparse as sp

from search import ItemQuery, Manner, ProfileQuery, reference_from_counts, reference_from_h5ad
from search.cells.decomposition import amounts_of, gene_scales, marker_system, shares_of
from search.cells.reference import check_h5ad
from search.errors import CellReferenceError, QueryError


@pytest.fixture(scope="module")
def reference(planted):
    tissues = np.repeat([0, 1, 2], 12)
    return reference_from_counts(
        planted.counts_of(tissues, seed=99), planted.GENES, [planted.TISSUES[t] for t in tissues]
    )


def as_dict(found):
    return dict(zip(*found.to_pandas()[["type", "proportion"]].to_numpy().T, strict=True))


@pytest.mark.parametrize("method", ["reweighted", "plain"])
def test_planted_mixtures_are_recovered(reference, method):
    truth = np.random.default_rng(5).dirichlet([0.6] * 3, 40)
    random = np.random.default_rng(6)
    mixed = truth @ reference.profiles
    counts = np.array([random.multinomial(3_000, row / row.sum()) for row in mixed]).astype(float)
    system = marker_system(reference, reference.genes)
    values = counts[:, system.columns] / counts.sum(axis=1, keepdims=True) * 10_000
    found = shares_of(system, amounts_of(system, values, method=method), "rna")
    assert found.sum(axis=1) == pytest.approx(np.ones(40))
    assert np.abs(found - truth).max() < 0.1


def test_a_spot_is_decomposed_from_its_counts(engine, reference):
    found = engine.decompose(ItemQuery("A1/spot/s0", "expression"), reference)
    assert found.source == "counts"
    assert as_dict(found)["tumour"] > 0.9
    assert sum(as_dict(found).values()) == pytest.approx(1)
    table = found.to_pandas()
    assert (table["low"] <= table["proportion"]).all()
    assert (table["proportion"] <= table["high"]).all()
    assert found.fit > 0.9
    assert json.dumps(found.to_dict())


def test_a_tile_is_decomposed_from_its_hits_with_spread(engine, reference):
    found = engine.decompose(ItemQuery("A1/tile/900x500"), reference, k=20)
    assert found.source == "hits"
    assert found.to_pandas().iloc[0]["type"] == "immune"
    assert sum(as_dict(found).values()) == pytest.approx(1)
    assert found.table.column("sd").null_count == 0
    assert any("not from the query itself" in note for note in found.notes)


def test_source_can_be_chosen(engine, reference, planted):
    assert engine.decompose(ItemQuery("A1/spot/s0"), reference).source == "counts"
    assert engine.decompose(ItemQuery("A1/spot/s0"), reference, source="hits").source == "hits"
    assert engine.decompose(ItemQuery("A1/spot/s0", "image"), reference).source == "hits"
    assert engine.decompose(ItemQuery("A1/spot/s0", "image"), reference, source="counts").source == "counts"
    profile = ProfileQuery(planted.counts_of([1]).toarray()[0], planted.GENES)
    assert as_dict(engine.decompose(profile, reference))["stroma"] > 0.9
    with pytest.raises(QueryError, match="no counts of its own"):
        engine.decompose(ItemQuery("A1/tile/100x100"), reference, source="counts")


def test_markers_can_be_given(engine, reference):
    found = engine.decompose(ItemQuery("A1/spot/s0"), reference, manner=Manner(["TUM1", "STR1", "IMM1", "NOSUCH"]))
    assert found.n_markers == 3
    assert any("rough" in note for note in found.notes)
    with pytest.raises(CellReferenceError, match="None of the 1 markers"):
        engine.decompose(ItemQuery("A1/spot/s0"), reference, manner=Manner(["NOSUCH"]))


def test_references_that_cannot_be_used(engine, reference, planted):
    counts = planted.counts_of([0, 0, 1, 1, 2])
    labels = ["a", "a", "b", "b", "c"]
    with pytest.raises(CellReferenceError, match="Only one cell is labelled c"):
        reference_from_counts(counts, planted.GENES, labels)
    assert reference_from_counts(counts, planted.GENES, labels, min_cells=2).dropped == ("c",)
    merged = reference_from_counts(counts, planted.GENES, labels, merge={"c": "b"})
    assert (merged.types, merged.n_cells) == (("a", "b"), (2, 3))
    with pytest.raises(CellReferenceError, match="no cells labelled z"):
        reference_from_counts(counts, planted.GENES, labels, merge={"z": "a"})
    with pytest.raises(CellReferenceError, match="None of the 5 cells has a label"):
        reference_from_counts(counts, planted.GENES, [None, float("nan"), "", None, None])
    with pytest.raises(CellReferenceError, match="4 labels for 5 cells"):
        reference_from_counts(counts, planted.GENES, labels[:4])
    with pytest.raises(CellReferenceError, match="Fewer than two cell types"):
        reference_from_counts(counts, planted.GENES, labels, min_cells=50)
    mouse = reference_from_counts(counts, [f"Mm{i}" for i in range(30)], ["a", "a", "b", "b", "b"])
    with pytest.raises(CellReferenceError, match=r"30 genes, such as Mm0.*shares no gene.*IMM0"):
        engine.decompose(ItemQuery("A1/spot/s0"), mouse)
    with pytest.raises(QueryError, match="method='magic'"):
        Manner(method="magic")


def test_repeated_symbols_are_summed():
    counts = sp.csr_matrix(np.array([[1, 2, 7], [0, 5, 5]], dtype=np.float32))
    reference = reference_from_counts(counts, ["X", "X", "Y"], ["a", "b"], min_cells=1)
    assert reference.genes == ("X", "Y")
    assert reference.profiles == pytest.approx(np.array([[3_000, 7_000], [5_000, 5_000]]))


def test_h5ad_references(tmp_path, planted):
    import anndata
    import pandas as pd

    path = tmp_path / "cells.h5ad"
    names = [f"c{i}" for i in range(6)]
    obs = pd.DataFrame({"type": ["a", "b"] * 3}, index=names)
    var = pd.DataFrame(index=list(planted.GENES))
    counts = planted.counts_of([0, 1] * 3)
    anndata.AnnData(X=counts, obs=obs, var=var).write_h5ad(path)
    assert reference_from_h5ad(path, "type").n_cells == (3, 3)
    with pytest.raises(CellReferenceError, match="no label column 'kind'; its columns: type"):
        reference_from_h5ad(path, "kind")
    with pytest.raises(CellReferenceError, match="no reference file"):
        reference_from_h5ad(tmp_path / "none.h5ad", "type")
    check_h5ad(path, "type")
    with pytest.raises(CellReferenceError, match="no label column 'kind'"):
        check_h5ad(path, "kind")
    anndata.AnnData(obs=obs, var=var).write_h5ad(path)
    with pytest.raises(CellReferenceError, match="has no X"):
        reference_from_h5ad(path, "type")
    anndata.AnnData(X=counts.log1p(), obs=obs, var=var).write_h5ad(path)
    with pytest.raises(CellReferenceError, match="not raw counts"):
        reference_from_h5ad(path, "type")
    whole = path.read_bytes()
    for content in (b"no hdf5", whole[: len(whole) // 2]):
        path.write_bytes(content)
        for read in (check_h5ad, reference_from_h5ad):
            with pytest.raises(CellReferenceError, match="cannot be read as h5ad"):
                read(path, "type")


PUBLISHED = {
    "CAFs": "CAFs",
    "Cancer Epithelial": "Epithelial",
    "Endothelial": "Endothelial",
    "Myeloid": "Myeloid",
    "PVL": "PVL",
    "Plasmablasts": "Plasma Cells",
    "T-cells": "T-cells",
}
#: Highest figures of plain NNLS with weighted genes over eight sections, the floor to beat.
FLOOR = {
    "CAFs": 0.71,
    "Cancer Epithelial": 0.78,
    "Endothelial": 0.66,
    "Myeloid": 0.47,
    "PVL": 0.45,
    "Plasmablasts": 0.70,
    "T-cells": 0.50,
}


@pytest.mark.real
@pytest.mark.parametrize("section", ["C2", "G2"])
def test_shares_agree_with_the_published_ones(mirror, section):
    import zipfile

    import pandas as pd

    from indexer.datasets.manifest import load_manifest
    from indexer.sources import open_sources

    reference = reference_from_h5ad(
        mirror / "wu2021" / "wu2021_CID4465_1564cells.h5ad",
        "celltype_major",
        merge={"B-cells": "Plasmablasts", "Normal Epithelial": "Cancer Epithelial"},
        min_cells=10,
    )
    with zipfile.ZipFile(mirror / "her2st" / "deconv" / "props_major.zip") as archive:
        published = pd.read_csv(archive.open(f"major/{section}-proportion.tsv"), sep="\t", index_col=0)
    (source,) = open_sources("her2st", manifest=load_manifest(), slides=[section])
    measured = source.read_expression()
    system = marker_system(reference, measured.genes)
    totals = np.asarray(measured.counts.sum(axis=1))
    values = measured.counts[:, system.columns].toarray() / np.maximum(totals, 1) * 10_000
    values = values[totals[:, 0] > 0]
    amounts = amounts_of(system, values, scales=gene_scales(system, values))
    names = np.array(measured.names)[totals[:, 0] > 0]
    found = pd.DataFrame(shares_of(system, amounts, "rna"), index=names, columns=list(reference.types))
    both = found.index.intersection(published.index)
    assert len(both) > 150
    for ours, theirs in PUBLISHED.items():
        agreement = np.corrcoef(found.loc[both, ours], published.loc[both, theirs])[0, 1]
        assert agreement > FLOOR[ours], ours
