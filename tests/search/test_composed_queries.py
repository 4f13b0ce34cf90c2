"""Queries made of several things: where their vector points, what is left out, what is said, and what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.composing.coherence import region_coherence
from search.composing.regions import region_from_geojson
from search.errors import FilterError, ItemMissingError, QueryError
from search.query import (
    ComposedQuery,
    ExamplesQuery,
    GenesQuery,
    GroupQuery,
    ItemQuery,
    PatchQuery,
    ProfileQuery,
    RegionQuery,
    SentenceQuery,
    SlideQuery,
    VectorQuery,
)
from search.query_form import query_from_dict

TUMOUR, STROMA, IMMUNE = "A1/spot/s0", "A1/spot/s4", "A1/spot/s6"


def square(x0, y0, x1, y1):
    return (((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)),)


#: Spots of A1: tumour at x 200, stroma at 600, immune at 1000.
TUMOUR_SIDE, WHOLE = square(0, 0, 400, 1200), square(0, 0, 1200, 1200)


def unit(vector):
    return vector / np.linalg.norm(vector)


def encoded(engine, query):
    return engine._current().encode(query)


def test_examples_move_the_query_as_rocchio_says(engine):
    parts = [encoded(engine, ItemQuery(name, "expression")).vector for name in (TUMOUR, STROMA, IMMUNE, "B1/spot/s6")]
    query = ExamplesQuery(
        ItemQuery(TUMOUR, "expression"),
        (ItemQuery(STROMA, "expression"),),
        (ItemQuery(IMMUNE, "expression"), ItemQuery("B1/spot/s6", "expression")),
        (1.0, 0.5, 0.4),
    )
    expected = unit(parts[0] + 0.5 * parts[1] - 0.4 * (parts[2] + parts[3]) / 2)
    assert encoded(engine, query).vector == pytest.approx(expected, abs=1e-6)


def test_examples_are_no_answers_but_others_of_their_slides_are(engine):
    example = ItemQuery("B1/spot/s0", "expression")
    query = ExamplesQuery(ItemQuery(TUMOUR, "expression"), (example,))
    for exclude, gone in {"auto": "A1/", "patient": "A", "none": TUMOUR}.items():
        found = engine.search(query, k=400, exclude=exclude)
        ids = found.table["id"].to_pylist()
        assert "B1/spot/s1" in ids
        assert "B1/spot/s0" not in ids
        assert not [name for name in ids if name.startswith(gone)]
    assert "Own slide 'A1' left out (8 items), and the example elsewhere." in engine.search(query).notes
    # From the picture to expression items may answer themselves, and so may examples.
    crossed = engine.search(ExamplesQuery(ItemQuery(TUMOUR, "image"), (example,)), k=400)
    assert "B1/spot/s0" in crossed.table["id"].to_pylist()
    batched = engine.search_many([query, ItemQuery("B1/spot/s1")], k=5)
    for one, alone in zip(batched.results, (query, ItemQuery("B1/spot/s1")), strict=True):
        assert one.table["id"].to_pylist() == engine.search(alone, k=5).table["id"].to_pylist()


def test_examples_alone_are_the_question_and_their_slides_are_left_out(engine):
    found = engine.search(ExamplesQuery(None, (ItemQuery(TUMOUR), ItemQuery("B1/spot/s0"))), k=100)
    assert not {"A1", "B1"} & set(found.table["slide"].to_pylist())
    assert found.query["left_out"] == ["A1", "B1"]


def test_many_queries_at_once_are_answered_as_each_alone(engine):
    queries = [GroupQuery("label = 'tumour'"), ItemQuery(TUMOUR), RegionQuery("A1", (TUMOUR_SIDE,))]
    many = engine.search_many(queries, k=5)
    for query, result in zip(queries, many.results, strict=True):
        assert result.table["id"].to_pylist() == engine.search(query, k=5).table["id"].to_pylist()


def test_picture_and_genes_weigh_alike_also_where_their_sides_lie_apart(engine, monkeypatch):
    # A modality gap: the image side is moved far off along one axis, as in spaces trained by contrast.
    state = engine._current()
    gap, real = np.array([0.0, 0.0, 5.0]), state.catalogue.index.vectors

    class Moved:
        def __init__(self, side):
            values = np.asarray(real(side).vectors, dtype=np.float64) + (gap if side == "image" else 0)
            self.vectors = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)

        def __len__(self):
            return len(self.vectors)

    from search.composing.sums import Part, summed
    from search.encoding import EncodedQuery

    class Fake:
        index = type("Index", (), {"vectors": staticmethod(Moved)})()

    stroma = EncodedQuery(unit(np.array([-1.0, 2.0, -1.0]) / np.sqrt(6) + gap).astype(np.float32), "image", "image", {})
    tumour = EncodedQuery(unit(np.array([2.0, -1.0, -1.0])).astype(np.float32), "expression", "genes", {})
    vector, notes = summed([Part(stroma, 1.0), Part(tumour, 1.0)], Fake())
    assert notes
    both = [float(vector @ unit(axis)) for axis in (np.array([2.0, -1, -1]), np.array([-1.0, 2, -1]))]
    assert min(both) > 0.3  # the plain sum would be the gap: its cosine with the second is below 0


def test_a_composed_query_finds_what_both_parts_ask_for(engine):
    query = ComposedQuery((ItemQuery(TUMOUR, "image"), GenesQuery("STR1")), (1.0, 0.01))
    top = engine.search(query, target="expression", k=1, where="label is not null").table
    assert top["label"].to_pylist() == ["tumour"]
    swapped = ComposedQuery(query.parts, (0.01, 1.0))
    found = engine.search(swapped, target="expression", k=1, where="label is not null")
    assert found.table["label"].to_pylist() == ["stroma"]
    assert found.genes.used == ("STR1",)


def test_a_region_of_one_kind_is_coherent_and_one_of_all_kinds_is_not(engine):
    one = engine.search(RegionQuery("A1", (TUMOUR_SIDE,), using="expression"), k=1, where="label is not null")
    assert one.table["label"].to_pylist() == ["tumour"]
    assert one.query["coherence"]["coherent"]
    assert one.query["n_items"] == 4
    mixed = engine.search(RegionQuery("A1", (WHOLE,), using="expression"), k=1)
    assert not mixed.query["coherence"]["coherent"]
    assert "Search it by its parts" in " ".join(mixed.notes)


def test_a_mixed_region_is_asked_with_by_its_parts(engine):
    labels = [
        engine.search(
            RegionQuery("A1", (WHOLE,), using="expression", parts=3, part=part), k=1, where="label is not null"
        )
        .table["label"]
        .to_pylist()[0]
        for part in (1, 2, 3)
    ]
    assert sorted(labels) == ["immune", "stroma", "tumour"]
    assert labels[0] == "tumour"  # half of the spots: the largest part


def test_micrometres_and_pixels_are_the_same_at_one_um_a_pixel(engine):
    px, um = (encoded(engine, RegionQuery("A1", (TUMOUR_SIDE,), unit=unit)) for unit in ("px", "um"))
    assert np.array_equal(px.vector, um.vector)


def test_a_group_leaves_out_its_own_slides(engine):
    found = engine.search(GroupQuery("label = 'tumour' AND patient = 'A'"), k=100)
    assert found.query["left_out"] == ["A1", "A2"]
    assert found.query["coherence"]["resultant"] > 0.9
    assert found.table["label"].to_pylist()[0] == "tumour"


def test_items_of_a_group_that_lack_the_side_are_told(engine):
    found = engine.search(GroupQuery("label = 'tumour'", using="image"), k=1)
    assert "16 of its 32 items have no image vector and are not in it." in found.notes
    assert engine.search(GroupQuery("label = 'tumour'"), k=1).query["using"] == "expression"


def test_of_a_large_group_some_items_are_averaged_and_that_is_said(engine, monkeypatch):
    from search.composing import groups

    monkeypatch.setattr(groups, "_MOST_READ", 10)
    found = engine.search(GroupQuery("label = 'tumour'"), k=1, exclude="none")
    assert "Averaged over 10 of its 32 items." in found.notes


def test_resultant_of_vectors_that_point_everywhere_is_low():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(400, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    xy = np.stack(np.meshgrid(np.arange(20.0), np.arange(20.0)), axis=-1).reshape(-1, 2)
    assert not region_coherence(np.arange(0, 400, 40), xy, vectors).coherent
    vectors[:30] = vectors[0]
    found = region_coherence(np.arange(30), xy, vectors)
    assert found.coherent
    assert found.resultant == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("query", "error", "problem"),
    [
        (RegionQuery("A1", ((((0, 0), (400, 1200), (400, 0), (0, 1200)),),)), QueryError, "Self-intersection"),
        (RegionQuery("A1", (square(5000, 0, 6000, 900),)), QueryError, "off slide 'A1' of 1200 x 1200 px"),
        (RegionQuery("A1", (square(2, 2, 3, 3),)), QueryError, "No tile or spot with an image vector"),
        (RegionQuery("A1", ((((0, 0), (1, 1), (2, 2)),),)), QueryError, "no simple area"),
        (RegionQuery("A1", ((((0, 0), (1, 1)),),)), QueryError, "fewer than 3"),
        (RegionQuery("A1", ()), QueryError, "no polygon"),
        (RegionQuery("Z9", (TUMOUR_SIDE,)), ItemMissingError, "No slide 'Z9'"),
        (RegionQuery("C1", (TUMOUR_SIDE,), using="image"), QueryError, "no tile, spot or cell with a position"),
        (RegionQuery("A1", (TUMOUR_SIDE,), parts=3, part=4), QueryError, "Part 4 of 3"),
        (GroupQuery("label = 'fat'"), QueryError, "has no item"),
        (GroupQuery("lbl = 'fat'"), FilterError, "'lbl'"),
        (GroupQuery("patient = 'C'", using="image"), QueryError, "none with an image vector"),
        (ExamplesQuery(None), QueryError, "nothing to look for"),
        (ExamplesQuery(ItemQuery(TUMOUR), weights=(1, -1, 0)), QueryError, "none below 0"),
        (
            ExamplesQuery(ItemQuery(TUMOUR), unlike=(ItemQuery(TUMOUR),), weights=(1, 0, 1)),
            QueryError,
            "cancel each other",
        ),
        (ComposedQuery((ItemQuery(TUMOUR),)), QueryError, "at least two"),
        (ComposedQuery((ItemQuery(TUMOUR), GenesQuery("TUM1")), (1.0,)), QueryError, "1 weights for 2"),
        (ComposedQuery((ItemQuery(TUMOUR), GenesQuery("TUM1")), (1.0, 0.0)), QueryError, "other than 0"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(engine, query, error, problem):
    with pytest.raises(error, match=problem):
        engine.search(query)


def test_a_region_given_in_the_other_unit_is_told_so(engine, monkeypatch):
    from search.composing import regions

    monkeypatch.setattr(regions, "_frame", lambda slide, catalogue: (0.1, (1200.0, 1200.0)))
    with pytest.raises(QueryError, match="unit um"):
        engine.search(RegionQuery("A1", (square(2, 2, 30, 110),)))


def test_annotations_of_qupath_become_a_region(tmp_path):
    def feature(name, kind="annotation"):
        ring = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
        properties = {"objectType": kind, "classification": {"name": name}}
        return {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": properties,
        }

    path = tmp_path / "a.geojson"
    features = [feature("Tumor"), feature("Stroma"), feature("Ignore*"), feature("Tumor", "cell")]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert len(region_from_geojson(path, "A1").polygons) == 2
    assert len(region_from_geojson(path, "A1", named="tumor").polygons) == 1
    with pytest.raises(QueryError, match="it has Stroma, Tumor"):
        region_from_geojson(path, "A1", named="Fat")
    with pytest.raises(QueryError, match="Cannot read"):
        region_from_geojson(tmp_path / "none.geojson", "A1")


names = st.text(min_size=1, max_size=8)
sides = st.sampled_from([None, "image", "expression"])
numbers = st.floats(-1e6, 1e6, allow_nan=False)
rings = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=5).map(tuple)
polygons = st.lists(st.lists(rings, min_size=1, max_size=2).map(tuple), min_size=1, max_size=2).map(tuple)
parts = st.integers(1, 9)
vectors = st.lists(numbers, min_size=1, max_size=4).map(np.array)
simple = st.one_of(
    st.builds(ItemQuery, names, sides),
    st.builds(SlideQuery, names, sides),
    st.builds(GenesQuery, names),
    st.builds(SentenceQuery, names),
    st.builds(VectorQuery, vectors, st.sampled_from(["image", "expression"]), st.none() | names),
    st.builds(lambda counts: ProfileQuery(counts, tuple(f"G{i}" for i in range(len(counts)))), vectors),
    st.builds(
        lambda level, mpp, slide: PatchQuery(np.full((3, 4, 3), level, np.uint8), mpp, slide),
        st.integers(0, 255),
        st.floats(0.1, 10),
        st.none() | names,
    ),
    st.builds(RegionQuery, names, polygons, st.sampled_from(["px", "um"]), sides, parts, parts),
    st.builds(GroupQuery, names, sides, parts, parts),
)
several = st.lists(simple, max_size=3).map(tuple)
composed = st.one_of(
    st.builds(ExamplesQuery, st.none() | simple, several, several, st.tuples(numbers, numbers, numbers)),
    st.builds(lambda made: ComposedQuery(made, tuple(float(i + 1) for i in range(len(made)))), several),
    st.builds(ComposedQuery, several),
)


@settings(max_examples=40, deadline=None)
@given(simple | composed | st.builds(ComposedQuery, st.lists(composed, max_size=2).map(tuple)))
def test_every_query_written_down_is_read_as_it_was(query):
    form = query.to_dict()
    again = query_from_dict(json.loads(json.dumps(form)))
    assert type(again) is type(query)
    assert again.to_dict() == form


def test_the_query_of_a_result_asks_the_same_again(engine):
    queries = [
        ExamplesQuery(ItemQuery(TUMOUR), (ItemQuery(STROMA),), (ItemQuery(IMMUNE),)),
        ComposedQuery((ItemQuery(TUMOUR), GenesQuery("STR1"))),
        RegionQuery("A1", (TUMOUR_SIDE,), parts=2, part=2),
        GroupQuery("label = 'tumour'"),
    ]
    for query in queries:
        first = engine.search(query, k=5)
        again = engine.search(query_from_dict(json.loads(json.dumps(first.query))), k=5)
        assert again.table["id"].to_pylist() == first.table["id"].to_pylist()


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ([], "expected fields"),
        ({"type": "spot"}, "known: item, slide"),
        ({"type": "item"}, "id None; expected text"),
        ({"type": "item", "id": "x", "usng": "image"}, "unknown field 'usng'"),
        ({"type": "item", "id": "x", "using": "sound"}, "expected image or expression"),
        ({"type": "group", "of": "x", "parts": True}, "whole number"),
        ({"type": "region", "slide": "A1", "polygons": [[[1, 2]]]}, "rings of points"),
        ({"type": "region", "slide": "A1", "polygons": [], "unit": "cm"}, "px or um"),
        ({"type": "patch", "mpp": 0.5, "file": "/etc/hostname"}, "no pixels"),
        ({"type": "patch", "mpp": 0.5, "png": "AAAA"}, "Cannot read the picture"),
        ({"type": "profile", "n_genes": 3, "total_counts": 9}, "counts None"),
        ({"type": "examples", "weights": [1, 2]}, "2 weights"),
    ],
)
def test_forms_that_say_no_query_are_refused(form, problem):
    with pytest.raises(QueryError, match=problem):
        query_from_dict(form)


def test_forms_nested_without_end_are_refused():
    form = {"type": "item", "id": "x"}
    for _ in range(50):
        form = {"type": "examples", "start": form}
    with pytest.raises(QueryError, match="nested"):
        query_from_dict(form)


def test_other_verbs_take_composed_queries(engine):
    region = RegionQuery("A1", (TUMOUR_SIDE,), using="expression")
    assert engine.predict_expression(region, n_genes=3).table["gene"].to_pylist()[0].startswith("TUM")
    assert engine.cohorts(region, by="label", k=5).table["group"].to_pylist()[0] == "tumour"
    assert len(engine.similarity_map(region, "B1"))
