"""What may be asked of a search besides its hits: pages, groups, score ranges, many at once, and nonsense."""

import numpy as np
import pytest

from search.errors import FilterError, QueryError
from search.query import ItemQuery, VectorQuery

ONE = ItemQuery("A1/spot/s0", using="expression")


def ids(result):
    return result.table["id"].to_pylist()


def test_pages_follow_each_other(engine):
    whole = engine.search(ONE, k=12)
    pages = [engine.search(ONE, k=5, offset=offset) for offset in (0, 5, 10)]
    assert [item for page in pages for item in ids(page)][:12] == ids(whole)
    assert pages[1].table["rank"].to_pylist() == [6, 7, 8, 9, 10]
    assert pages[1].query["offset"] == 5
    assert len(engine.search(ONE, k=5, offset=10_000)) == 0


def test_score_ranges_hold_both_ends(engine):
    whole = engine.search(ONE, k=1_000).table
    scores = whole["score"].to_numpy()
    low, high = float(scores[len(scores) // 2]), float(scores[3])
    found = engine.search(ONE, k=1_000, min_score=low, max_score=high)
    kept = (scores >= low) & (scores <= high)
    assert ids(found) == np.array(whole["id"].to_pylist())[kept].tolist()
    assert 0 < len(found) < len(whole)


def test_groups_keep_their_best_hits(engine):
    whole = engine.search(ONE, k=1_000).table.to_pandas()
    found = engine.search(ONE, k=3, group_by="patient", per_group=2).table.to_pandas()
    groups = whole.drop_duplicates("patient").patient[:3]
    expected = whole[whole.patient.isin(groups)].groupby("patient").head(2)
    assert found.id.tolist() == expected.id.tolist()
    assert len(engine.search(ONE, k=3, group_by="patient")) == 3


def test_many_are_answered_as_one_by_one(engine):
    queries = [ItemQuery(f"A1/spot/s{i}", using="expression") for i in range(6)]
    found = engine.search_many(queries, k=4, where="patient != 'C'")
    assert len(found) == 6
    assert found.table["query_index"].to_pylist() == [i for i in range(6) for _ in range(4)]
    for query, result in zip(queries, found.results, strict=True):
        assert result.table.equals(engine.search(query, k=4, where="patient != 'C'").table)
    assert found.table.drop_columns("query_index").slice(8, 4).equals(found.results[2].table.combine_chunks())


def test_a_search_explains_itself(engine):
    assert engine.search(ONE).plan.explained is None
    found = engine.search(ONE, explain=True)
    explained = found.to_dict()["plan"]["explained"]
    assert explained["n_allowed"] == found.plan.n_allowed
    assert "each is compared" in explained["chosen"]
    assert explained["stopped"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"k": 0}, "k is 0"),
        ({"k": -3}, "k is -3"),
        ({"k": 2.5}, "k is 2.5"),
        ({"k": True}, "k is True"),
        ({"offset": -1}, "offset is -1"),
        ({"min_score": float("nan")}, "min_score is nan"),
        ({"min_score": 0.5, "max_score": 0.1}, "above max_score"),
        ({"per_group": 2}, "without group_by"),
        ({"per_group": 0, "group_by": "slide"}, "per_group is 0"),
        ({"offset": 1, "group_by": "slide"}, "no pages"),
        ({"group_by": "organ"}, "group_by='organ'"),
        ({"target": "sound"}, "target='sound'"),
    ],
)
def test_nonsense_is_refused_in_words(engine, asked, message):
    with pytest.raises(QueryError, match=message):
        engine.search(ONE, **asked)


@pytest.mark.parametrize(
    "where",
    [
        "organism = 'x'",
        "organ = 'x'; DROP TABLE items",
        "organ = 'x' -- ",
        "1 = 1 UNION SELECT id FROM slides",
        "organ =",
    ],
)
def test_conditions_that_reach_further_are_refused(engine, where):
    n = len(engine.index)
    with pytest.raises(FilterError, match="Columns"):
        engine.search(ONE, where=where)
    assert len(engine.index) == n


@pytest.mark.parametrize(
    "vector",
    [
        np.array([1, 0, np.nan]),
        np.zeros(3),
        np.ones(4),
        np.ones(3, dtype=np.int64),
        np.array([1, np.inf, 0]),
        np.ones((1, 3)),
    ],
)
def test_vectors_that_have_no_direction_here_are_refused(engine, vector):
    with pytest.raises(QueryError, match="vector"):
        engine.search(VectorQuery(vector))


def test_more_hits_than_there_are_is_all_of_them(engine):
    found = engine.search(ONE, k=10**9)
    assert len(found) == found.plan.n_allowed
    assert "all are shown" in " ".join(found.notes)


def test_no_queries_are_no_batch(engine):
    with pytest.raises(QueryError, match="at least one"):
        engine.search_many([])
