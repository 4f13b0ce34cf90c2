"""A batch answered as one search: each answer, its plan and its notes are those of a single search."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search import batch
from search.query import GenesQuery, ItemQuery, SlideQuery, VectorQuery
from search.retrieval import plan


@pytest.fixture
def keeps_few(monkeypatch):
    """As in a large index: only the hits wanted are kept of what was compared."""
    monkeypatch.setattr(plan, "_SCAN_ROWS", 0)
    monkeypatch.setattr(plan, "_KEPT", 1)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    items=st.lists(st.integers(0, 7), min_size=2, max_size=6),
    slides=st.sampled_from(["A1", "B1"]),
    using=st.sampled_from(["image", "expression"]),
    asked=st.fixed_dictionaries(
        {
            "target": st.sampled_from(["image", "expression"]),
            "k": st.sampled_from([1, 4]),
            "where": st.sampled_from([None, "patient != 'C'", "total_counts > 5"]),
            "exclude": st.sampled_from(["auto", "none", "slide", "patient"]),
            "offset": st.sampled_from([0, 2]),
            "exact": st.booleans(),
        }
    ),
)
def test_answers_are_those_of_single_searches(engine, keeps_few, items, slides, using, asked):
    queries = [ItemQuery(f"{slides if i % 3 else 'A1'}/spot/s{i}", using=using) for i in items]
    found = engine.search_many(queries, **asked)
    assert isinstance(found.results, batch._Answers)
    assert len(found) == len(queries)
    for place, (query, result) in enumerate(zip(queries, found.results, strict=True)):
        alone = engine.search(query, **asked)
        assert result.table["id"].equals(alone.table["id"])
        np.testing.assert_allclose(result.table["score"], alone.table["score"], atol=1e-6)
        assert (result.query, result.notes) == (alone.query, alone.notes)
        assert (result.plan.strategy, result.plan.n_allowed) == (alone.plan.strategy, alone.plan.n_allowed)
        its = found.table.filter(found.table["query_index"].to_numpy() == place).drop_columns("query_index")
        assert its.equals(result.table)


def test_queries_of_different_kinds_are_answered_one_by_one(engine, keeps_few):
    found = engine.search_many([SlideQuery("A1", using="expression"), ItemQuery("A1/spot/s0", using="expression")], k=2)
    assert isinstance(found.results, tuple)
    assert found.results[0].table["kind"].to_pylist() == ["slide"] * len(found.results[0])


def test_queries_with_other_nulls_have_their_own_p_values(engine, keeps_few):
    gene = engine.index.genes[0]
    queries = [GenesQuery(gene), ItemQuery("A1/spot/s1", using="image"), ItemQuery("A1/spot/s2", using="expression")]
    found = engine.search_many(queries, k=3, exclude="none")
    assert isinstance(found.results, batch._Answers)
    for place, query in enumerate(queries):
        its = found.table.slice(3 * place, 3).drop_columns("query_index")
        alone = engine.search(query, k=3, exclude="none").table
        assert its["p_value"].equals(alone["p_value"])
        assert its["fdr"].equals(alone["fdr"])
    assert found.results[-1].query == engine.search(queries[-1], k=3, exclude="none").query
    assert [len(one) for one in found.results[:2]] == [3, 3]


def test_rows_of_its_own_are_left_out_of_each(engine, keeps_few):
    dim = engine.index.card.space.dim
    queries = [VectorQuery(np.ones(dim, dtype=np.float32), slide=slide) for slide in ("A1", "B1", "A1")]
    found = engine.search_many(queries, target="image", k=5)
    slides = np.array(found.table["slide"].to_pylist())
    which = found.table["query_index"].to_numpy()
    assert "A1" not in slides[which != 1]
    assert "B1" not in slides[which == 1]
