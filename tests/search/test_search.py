"""Searching a planted index: who is found, who is left out, and what is said about it."""

import json

import numpy as np
import pytest

from encoders.errors import GeneQueryError, SpaceMismatchError
from search import Engine, GenesQuery, ItemQuery, PatchQuery, ProfileQuery, SentenceQuery, SlideQuery
from search.errors import FilterError, ItemMissingError, QueryError
from search.result import HITS_SCHEMA

TUMOUR_SPOT = "A1/spot/s0"


def labels(result):
    return set(result.to_pandas()["label"].dropna())


def test_a_spot_finds_the_transcriptomes_of_its_tissue(engine):
    result = engine.search(ItemQuery(TUMOUR_SPOT, "image"), target="expression", k=10)
    hits = result.to_pandas()
    assert labels(result) == {"tumour"}
    assert (hits["rank"] == np.arange(1, 11)).all()
    assert hits["score"].is_monotonic_decreasing
    assert (hits["modality"] == "expression").all()
    assert set(hits["kind"]) == {"spot"}
    assert result.table.schema == HITS_SCHEMA


def test_genes_find_tiles_of_their_tissue(engine):
    result = engine.search(GenesQuery("IMM1:2 IMM2 -TUM1 NOSUCH"), target="image", k=6)
    hits = result.to_pandas()
    assert (hits["x_px"] > 800).all()  # the right-hand band is immune
    assert result.genes.unknown == ("NOSUCH",)
    assert set(hits["kind"]) <= {"tile", "spot"}


def test_sentence_and_profile_ask_like_genes(engine, planted):
    sentence = engine.search(SentenceQuery("STR1 STR2 STR3"), target="image", k=3)
    profile = engine.search(ProfileQuery(planted.counts_of([1]).toarray()[0], planted.GENES), target="image", k=3)
    for result in (sentence, profile):
        assert result.to_pandas()["x_px"].between(400, 800).all()


@pytest.mark.parametrize(("tissue", "low", "high"), [(0, 0, 400), (1, 400, 800), (2, 800, 1200)])
def test_pixels_find_tiles_of_their_colour(engine, planted, tissue, low, high):
    pixels = np.broadcast_to(planted.COLOURS[tissue].astype(np.uint8), (200, 240, 3)).copy()
    hits = engine.search(PatchQuery(pixels, mpp=0.5), target="image", k=5).to_pandas()
    assert hits["x_px"].between(low, high).all()


def test_own_slide_is_left_out_and_that_is_said(engine):
    auto = engine.search(ItemQuery(TUMOUR_SPOT), k=500)
    assert "A1" not in set(auto.to_pandas()["slide"])
    assert any("Own slide 'A1' left out (8 items)" in note for note in auto.notes)
    patient = engine.search(ItemQuery(TUMOUR_SPOT), k=500, exclude="patient")
    assert "A" not in set(patient.to_pandas()["patient"])
    everyone = engine.search(ItemQuery(TUMOUR_SPOT, "expression"), k=500, exclude="none").to_pandas()
    assert "A1" in set(everyone["slide"])
    assert TUMOUR_SPOT not in set(everyone["id"])


def test_with_nothing_left_out_a_spot_meets_its_own_other_side(engine):
    result = engine.search(ItemQuery(TUMOUR_SPOT, "image"), target="expression", k=500, exclude="none")
    assert TUMOUR_SPOT in set(result.to_pandas()["id"])


def test_pixels_of_a_slide_leave_that_slide_out(engine, planted):
    pixels = np.full((100, 100, 3), planted.COLOURS[0], dtype=np.uint8)
    result = engine.search(PatchQuery(pixels, mpp=1.0, slide="A1"), target="image", k=500)
    assert "A1" not in set(result.to_pandas()["slide"])


def test_a_slide_query_finds_slides_of_other_patients(engine):
    result = engine.similar_slides("A1", k=3)
    hits = result.to_pandas()
    assert set(hits["kind"]) == {"slide"}
    assert set(hits["patient"]) <= {"B", "C", "D"}  # the same mixture of tissues
    assert result.query["using"] == "expression"  # 15 other slides share it, 3 share the image
    assert hits["p_value"].isna().all()
    assert any("whole slides" in note for note in result.notes)


def test_k_beyond_the_index_gives_all_with_a_note(engine):
    result = engine.search(GenesQuery("TUM1"), target="expression", k=10_000)
    assert len(result) == 16 * 8
    assert any("Only 128 items may answer" in note for note in result.notes)


def test_where_narrows(engine):
    result = engine.search(GenesQuery("TUM1"), target="expression", k=500, where="organ = 'colon' AND slide LIKE 'E%'")
    assert set(result.to_pandas()["patient"]) == {"E"}
    assert result.plan.n_allowed == 16


def test_a_filter_that_allows_nothing_gives_no_hits_and_says_so(engine):
    result = engine.search(GenesQuery("TUM1"), where="organ = 'moon'")
    assert len(result) == 0
    assert result.table.schema == HITS_SCHEMA
    assert any("No item is left" in note for note in result.notes)


@pytest.mark.parametrize(
    ("where", "named"),
    [
        ("orgn = 'breast'", "'orgn'"),
        ("organ = breast", "'breast'"),
        ("organ = 'a'; drop table items", "statement"),
        ("organ = 'a' -- comment", "statement"),
        ("organ = 'it''s", "unclosed"),
        ("   ", "empty"),
        ("organ =", "organ ="),
        ("nosuchfunction(organ) = 1", "nosuchfunction"),
        ("total_counts", "total_counts"),
    ],
)
def test_a_bad_filter_is_one_clear_error(engine, where, named):
    with pytest.raises(FilterError, match="Columns: id, kind") as caught:
        engine.search(GenesQuery("TUM1"), where=where)
    assert named in str(caught.value)


def test_group_by_keeps_the_best_of_each(engine):
    all_hits = engine.search(GenesQuery("TUM1"), k=500).to_pandas()
    hits = engine.search(GenesQuery("TUM1"), k=500, group_by="patient").to_pandas()
    assert sorted(hits["patient"]) == list("ABCDEFGH")
    best = all_hits.groupby("patient")["score"].max()
    assert hits.set_index("patient")["score"].to_dict() == best.to_dict()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"k": 0}, "k is 0"),
        ({"k": -3}, "k is -3"),
        ({"target": "text"}, "target='text'"),
        ({"kind": "planet"}, "'planet'"),
        ({"kind": []}, "known: slide, tile"),
        ({"exclude": "all"}, "exclude='all'"),
        ({"exclude": "patient"}, "needs a query from a slide"),
        ({"group_by": "organ"}, "group_by='organ'"),
    ],
)
def test_bad_arguments_are_named(engine, arguments, named):
    with pytest.raises(QueryError, match=named):
        engine.search(GenesQuery("TUM1"), **arguments)


def test_unknown_items_and_slides_come_with_close_ones(engine):
    with pytest.raises(ItemMissingError, match="A1/spot/s0"):
        engine.search(ItemQuery("A1/spot/s00"))
    with pytest.raises(ItemMissingError, match="A1"):
        engine.search(SlideQuery("A11"))
    with pytest.raises(ItemMissingError, match="Z9"):
        engine.search(PatchQuery(np.zeros((100, 100, 3), np.uint8), mpp=1.0, slide="Z9"))


def test_a_side_the_item_lacks_is_said(engine):
    with pytest.raises(QueryError, match="no image vector; it has expression"):
        engine.search(ItemQuery("C1/spot/s0", "image"))


@pytest.mark.parametrize(
    ("pixels", "mpp", "named"),
    [
        (np.zeros((50, 100, 3), np.uint8), 1.0, "cover 100 x 50 um"),
        (np.zeros((100, 100), np.uint8), 1.0, r"\(100, 100\)"),
        (np.zeros((100, 100, 3), np.float32), 1.0, "float32"),
        (np.zeros((100, 100, 3), np.uint8), 0.0, "mpp"),
        (np.zeros((100, 100, 3), np.uint8), float("nan"), "mpp"),
    ],
)
def test_unusable_pixels_are_named(engine, pixels, mpp, named):
    with pytest.raises(QueryError, match=named):
        engine.search(PatchQuery(pixels, mpp=mpp))


@pytest.mark.parametrize("counts", [[1.0], [-1.0, 2.0], [0.0, 0.0], [float("nan"), 1.0]])
def test_unusable_profiles_are_named(engine, counts):
    with pytest.raises(QueryError, match="profile"):
        engine.search(ProfileQuery(np.array(counts), ["TUM1", "TUM2"]))


def test_only_unknown_genes_are_an_error(engine):
    with pytest.raises(GeneQueryError):
        engine.search(GenesQuery("XXX YYY"))


def test_results_repeat_and_are_json(engine, index_path, planted):
    again = Engine.open(index_path, space=planted.planted_space())
    for query in (ItemQuery(TUMOUR_SPOT), GenesQuery("TUM1 -IMM2"), SlideQuery("A1")):
        first, second = engine.search(query, k=20), again.search(query, k=20)
        assert first.table.equals(second.table)
        assert json.loads(json.dumps(first.to_dict()))["hits"]


def test_a_score_does_not_depend_on_the_filter(engine):
    everyone = engine.search(GenesQuery("TUM1 STR3"), k=500).to_pandas().set_index("id")["score"]
    few = engine.search(GenesQuery("TUM1 STR3"), k=500, where="patient = 'H'").to_pandas().set_index("id")["score"]
    assert few.equals(everyone[few.index])


def test_another_space_is_refused(index_path, planted):
    space = planted.planted_space()
    other = type(space)(space.card.model_copy(update={"revision": "2"}), space.image, space.expression)
    with pytest.raises(SpaceMismatchError, match="revision '2'"):
        Engine.open(index_path, space=other)


def test_a_similarity_map_lies_where_the_tissue_is(engine):
    found = engine.similarity_map(GenesQuery("IMM1 IMM2"), "A1")
    frame = found.to_pandas()
    assert list(frame.columns) == ["x_px", "y_px", "score", "kind", "id"]
    assert len(frame) == 36 + 8
    assert found.modality == "image"
    assert frame[frame["x_px"] > 800]["score"].min() > frame[frame["x_px"] < 800]["score"].max()


def test_a_slide_without_an_image_is_mapped_by_expression(engine):
    assert engine.similarity_map(GenesQuery("IMM1"), "C1").modality == "expression"
    with pytest.raises(QueryError, match="image vector to map"):
        engine.similarity_map(GenesQuery("IMM1"), "C1", target="image")
