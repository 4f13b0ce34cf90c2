"""Classes of tiles and spots: the published formulas by hand, a planted tissue found again, and what is refused."""

import json
import math

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from search.annotation import annotate as annotating
from search.annotation.annotate import Annotating
from search.annotation.bulk import bulk_of_items, bulk_profiles, read_bulk
from search.annotation.classes import UNASSIGNED, known_sets, marker_classes, marker_set, read_markers
from search.annotation.published import bulk_over_tiles, bulk_scaled, marker_probabilities
from search.annotation.smoothing import smoothed
from search.errors import AnnotationError, ItemMissingError

CLASSES = {"tumour": "TUM0 TUM1 TUM2 TUM3", "stroma": ["STR0:2", "STR1", "STR2"], "immune": {"IMM0": 1, "IMM1": 1.5}}


@pytest.fixture
def few_will_do(monkeypatch):
    """The planted world has 112 spots of other patients, fewer than a tail wants."""
    monkeypatch.setattr(annotating, "FEWEST_NULL", 50)


@pytest.fixture
def classes():
    return marker_classes(CLASSES)


def vectors(n, seed=0, dim=7):
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def dot(a, b):
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def cosine(a, b):
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def test_published_markers_are_a_softmax_of_cosines_for_each_image():
    images, texts = vectors(5), vectors(3, seed=1)
    found = marker_probabilities(images, texts)
    for i, image in enumerate(images):
        raised = [math.exp(cosine(image, text)) for text in texts]
        assert found[i] == pytest.approx([value / sum(raised) for value in raised], abs=1e-6)
        alone = marker_probabilities(images[i : i + 1], texts)  # as published: one image at a time
        assert alone[0] == pytest.approx(found[i], abs=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 0.07])
def test_published_bulk_over_tiles(temperature):
    images, bulk = vectors(6), vectors(2, seed=1)
    found = bulk_over_tiles(images, bulk, temperature=temperature)
    for k, profile in enumerate(bulk):
        raised = [math.exp(cosine(image, profile) / math.sqrt(images.shape[1]) / temperature) for image in images]
        assert found[:, k] == pytest.approx([value / sum(raised) for value in raised], abs=1e-6)


def test_published_bulk_scaled_and_no_division_by_zero():
    images, bulk = vectors(6), vectors(2, seed=1)
    found = bulk_scaled(images, bulk)
    for k, profile in enumerate(bulk):
        raised = [math.exp(dot(image, profile)) for image in images]
        shares = [value / sum(raised) for value in raised]
        expected = [(share - min(shares)) / (max(shares) - min(shares)) for share in shares]
        assert found[:, k] == pytest.approx(expected, abs=1e-6)
    assert (bulk_scaled(np.repeat(images[:1], 4, axis=0), bulk) == 0).all()


@pytest.mark.parametrize("using", ["counts", "expression", "image"])
def test_planted_tissues_are_found_by_every_side(engine, classes, few_will_do, using):
    found = engine.annotate("A1", classes, Annotating(using=using, kind="spot", rate=1))
    frame = found.to_pandas()
    assert frame["class"].tolist() == ["tumour"] * 4 + ["stroma"] * 2 + ["immune"] * 2
    assert found.probabilities.sum(axis=1) == pytest.approx(1)
    assert (found.using, found.kind, found.n_unassigned) == (using, "spot", 0)
    assert json.dumps(found.to_dict())


def test_many_images_at_once_are_each_their_own(engine, classes):
    ids = [f"{slide}/spot/s{i}" for slide in ("A1", "B2") for i in (0, 5, 7)]
    together = engine.annotate(ids, classes, Annotating(using="image", mode="loki")).to_pandas().set_index("id")
    for name in ids:
        alone = engine.annotate([name], classes, Annotating(using="image", mode="loki")).to_pandas().set_index("id")
        assert together.loc[name, "class"] == alone.loc[name, "class"]
        assert together.loc[name, "prob_tumour"] == pytest.approx(alone.loc[name, "prob_tumour"], abs=1e-6)


def test_the_rate_is_the_share_of_other_patients_that_would_be_given_a_class(engine, few_will_do):
    genes = marker_classes({"rare": "TUM0 -STR0", "none": "-TUM1 -STR1 -IMM1 STR2 IMM2 TUM2"})
    by_rate = {rate: engine.annotate("E1", genes, Annotating(using="counts", rate=rate)) for rate in (0.02, 0.5, 1.0)}
    counts = [found.n_unassigned for found in by_rate.values()]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 0
    for rate, found in by_rate.items():
        frame = found.to_pandas()
        assert ((frame["p_value"] <= rate) == (frame["class"] != UNASSIGNED)).all()
        assert found.n_null == 112
    assert "112 spots of other patients" in by_rate[0.5].notes[0]


def test_with_few_others_the_space_says_what_a_score_is_worth(engine, classes):
    counted = engine.annotate("A1", classes, Annotating(using="counts"))
    assert counted.table.column("p_value").null_count == len(counted)
    assert "no p-value" in counted.notes[0]
    bulk = bulk_of_items(["E1/spot/s0", "E1/spot/s5"])
    held = engine.annotate("A1", bulk, Annotating(using="expression"))
    assert "expression->expression" in held.null
    assert held.table.column("p_value").null_count == 0


def test_bulk_profiles_of_tables_cells_and_items(engine, few_will_do, planted, tmp_path):
    tissues = np.repeat([0, 1, 2], 5)
    counts = planted.counts_of(tissues, seed=3)
    names = [planted.TISSUES[t] for t in tissues]
    given = bulk_profiles(counts, planted.GENES, names)
    assert given.names == ("immune", "stroma", "tumour")
    assert given.counts.toarray()[2] == pytest.approx(counts[:5].toarray().mean(axis=0))
    cells = ad.AnnData(X=sp.csr_matrix(counts))
    cells.obs_names, cells.var_names = [f"c{i}" for i in range(15)], list(planted.GENES)
    cells.obs["type"] = names
    cells.write_h5ad(tmp_path / "cells.h5ad")
    table = "gene,tumour,stroma\n" + "".join(
        f"{g},{int(i < 10)},{int(10 <= i < 20)}\n" for i, g in enumerate(planted.GENES)
    )
    (tmp_path / "bulk.csv").write_text(table)
    for classes, n in (
        (given, 3),
        (read_bulk(tmp_path / "cells.h5ad", label="type"), 3),
        (read_bulk(tmp_path / "bulk.csv"), 2),
    ):
        found = engine.annotate("A1", classes, Annotating(using="image", kind="spot", rate=1))
        assert len(found.classes) == n
        assert found.to_pandas()["class"].tolist()[:6] == ["tumour"] * 4 + ["stroma"] * 2
    for mode in ("loki", "loki-tensor"):
        found = engine.annotate("A1", given, Annotating(using="image", kind="spot", mode=mode))
        assert found.to_pandas()["class"].tolist()[:4] == ["tumour"] * 4
        assert "no probabilities of classes" in found.notes[1]


def test_smoothing_averages_over_neighbours_of_the_same_slide(engine):
    rows = engine.catalogue.rows_of([f"{slide}/spot/s{i}" for slide in ("A1", "A2") for i in range(4)])
    scores = np.zeros((8, 1))
    scores[0] = 1.0
    found = smoothed(engine.catalogue, rows, scores)[:, 0]
    assert found[:2] == pytest.approx([1 / 2, 1 / 3])  # a column of four spots
    assert (found[2:] == 0).all()


def test_markers_from_files(tmp_path):
    yaml, gmt, table = tmp_path / "m.yaml", tmp_path / "m.gmt", tmp_path / "m.csv"
    yaml.write_text("name: mine\nclasses:\n  a: EPCAM:2 -VIM\n  b: [CD3E, CD3D]\n")
    gmt.write_text("a\tsource\tEPCAM\tVIM\nb\tsource\tCD3E\tCD3D\n")
    table.write_text("class,gene,weight\na,EPCAM,2\na,VIM,-1\nb,CD3E,\nb,CD3D,\n")
    read = [read_markers(path) for path in (yaml, gmt, table)]
    assert [str(one.genes["b"]) for one in read] == ["CD3E CD3D"] * 3
    assert str(read[0].genes["a"]) == str(read[2].genes["a"]) == "EPCAM:2 -VIM"
    assert read[0].name == "mine"


def test_sets_of_the_project_say_where_they_are_from():
    for name in known_sets():
        found = marker_set(name)
        assert len(found.names) >= 6
        assert all("doi:" in source for source in found.sources)
        assert all(len(genes.symbols) >= 5 and min(genes.weights) > 0 for genes in found.genes.values())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.yaml", "", "is empty"),
        ("one.yaml", "a: EPCAM", "only one class, 'a'"),
        ("none.yaml", "a: EPCAM\nunassigned: VIM", "give it another name"),
        ("bad.yaml", "a: 'EPCAM:x'\nb: VIM", "class 'a'.*cannot be read"),
        ("blank.yaml", "a: ''\nb: VIM", "class 'a'.*empty"),
        ("list.yaml", "- a", "hold no classes"),
        ("broken.yaml", "a: [EPCAM", "Cannot read the markers broken.yaml"),
        ("short.gmt", "a\tsource\n", "has no gene"),
        ("columns.csv", "type,symbol\na,EPCAM\n", "columns type, symbol; expected class, gene"),
        ("m.docx", "x", "ends in '.docx'"),
    ],
)
def test_marker_files_that_cannot_be_used_say_why(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(AnnotationError, match=message):
        read_markers(tmp_path / name)


def test_what_cannot_be_annotated_says_why(engine, classes):
    with pytest.raises(AnnotationError, match="no marker set 'brain'; known: breast-cells"):
        marker_set("brain")
    unknown = marker_classes({"a": "TUM1", "b": "XYZ1 XYZ2"})
    for using in ("counts", "image"):
        with pytest.raises(AnnotationError, match="Class 'b'"):
            engine.annotate("A1", unknown, Annotating(using=using, kind="spot"))
    with pytest.raises(AnnotationError, match="has no tile, spot or cell with image"):
        engine.annotate("E1", classes, Annotating(using="image"))
    with pytest.raises(AnnotationError, match="rate is 0"):
        engine.annotate("A1", classes, Annotating(rate=0))
    with pytest.raises(AnnotationError, match="temperature is nan"):
        engine.annotate("A1", classes, Annotating(temperature=math.nan))
    with pytest.raises(AnnotationError, match="mode='best'"):
        engine.annotate("A1", classes, Annotating(mode="best"))
    with pytest.raises(AnnotationError, match="compared with gene lists"):
        engine.annotate("A1", bulk_of_items(["E1/spot/s0", "E1/spot/s5"]), Annotating(using="counts"))
    with pytest.raises(AnnotationError, match="only one class"):
        engine.annotate("A1", bulk_of_items(["E1/spot/s0"]))
    with pytest.raises(AnnotationError, match="not logarithms"):
        bulk_profiles(-np.ones((1, 2)), ["A", "B"], ["x"])
    with pytest.raises(ItemMissingError, match="No slide 'A9'"):
        engine.annotate("A9", classes)
