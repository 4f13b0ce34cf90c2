"""Vectors made elsewhere: put into an index as they are, and asked with."""

import numpy as np
import pytest

from encoders.errors import EncoderError
from encoders.given_space import given_space
from indexer.building.given_vectors import GivenVectors, index_vectors
from indexer.errors import SlideError
from indexer.slides import SlideFacts
from search.engine import Engine
from search.errors import QueryError
from search.query import GenesQuery, VectorQuery

DIM = 8


def facts(slide, organ="lung"):
    return SlideFacts(slide, f"P{slide}", "c", organ, "d", "t", "human", "CC0", "none")


def given(slide, n=20, organ="lung", **changes):
    rng = np.random.default_rng(sum(map(ord, slide)))
    columns = {"total_counts": np.arange(n, dtype=np.float32), "label": ["a"] * n}
    fields = {"names": [str(i) for i in range(n)], "vectors": rng.normal(size=(n, DIM)), "columns": columns}
    return GivenVectors(facts(slide, organ), **fields | changes)


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    db = tmp_path_factory.mktemp("given") / "db"
    index_vectors(db, [given("A"), given("B", organ="skin")], given_space("mine", DIM).card, rows_per_commit=20)
    return db


@pytest.fixture(scope="module")
def engine(db):
    return Engine.open(db)


def test_the_row_of_a_vector_is_found_by_it_at_any_length(engine):
    row = given("A").vectors[7]
    hits = engine.search(VectorQuery(3.5 * row), target="image", k=3).table
    assert hits["id"][0].as_py() == "A/tile/7"
    assert hits["score"][0].as_py() == pytest.approx(1.0, abs=1e-6)
    assert (hits["total_counts"][0].as_py(), hits["label"][0].as_py()) == (7.0, "a")


def test_filters_and_the_own_slide_work_as_for_other_queries(engine):
    row = given("A").vectors[7]
    found = engine.search(VectorQuery(row, slide="A"), target="image", k=30).table
    assert set(found["slide"].to_pylist()) == {"B"}
    found = engine.search(VectorQuery(row), target="image", k=30, where="organ = 'skin' and total_counts < 5").table
    assert sorted(found["id"].to_pylist()) == [f"B/tile/{i}" for i in range(5)]


def test_slides_are_compared_by_the_mean_of_their_vectors(engine):
    assert engine.similar_slides("A").table["slide"].to_pylist() == ["B"]


def test_a_slide_given_again_is_replaced(db, tmp_path):
    space = given_space("mine", DIM).card
    index_vectors(tmp_path / "db", [given("A"), given("B")], space)
    index = index_vectors(tmp_path / "db", [given("A", n=3), given("C")], space)
    assert index.card.counts == {"slide": 3, "tile": 43}
    assert len(index.vectors("image")) == 46


@pytest.mark.parametrize(
    ("vector", "problem"),
    [
        (np.zeros(DIM), "zero"),
        (np.full(DIM, np.nan), "NaN"),
        (np.ones(DIM + 1), r"\(8,\)"),
        (np.ones((2, DIM)), r"\(8,\)"),
        (np.ones(DIM, dtype=int), "floats"),
    ],
)
def test_vectors_that_are_no_direction_are_refused(engine, vector, problem):
    with pytest.raises(QueryError, match=problem):
        engine.search(VectorQuery(vector), target="image")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"vectors": np.ones((20, DIM + 1))}, r"\(20, 8\)"),
        ({"vectors": np.vstack([np.ones((19, DIM)), np.zeros((1, DIM))])}, "'19'"),
        ({"vectors": np.full((20, DIM), np.nan)}, "not finite"),
        ({"names": ["x"] * 20}, "repeat"),
        ({"columns": {"organ": ["x"] * 20}}, "no column 'organ'"),
        ({"columns": {"label": ["x"]}}, "1 values for 20 rows"),
    ],
)
def test_slides_that_cannot_be_kept_are_refused_whole(tmp_path, changes, problem):
    with pytest.raises(SlideError, match=problem):
        index_vectors(tmp_path / "db", [given("A", **changes)], given_space("mine", DIM).card)


def test_such_a_space_encodes_nothing_and_says_what_to_ask_with(engine):
    with pytest.raises(EncoderError, match="VectorQuery"):
        engine.search(GenesQuery("ERBB2"))
    with pytest.raises(EncoderError, match="0 dimensions"):
        given_space("mine", 0)
