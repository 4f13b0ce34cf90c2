"""Cell types of all places of a slide at once: as of each alone, with its spread, and of some places."""

import json

import numpy as np
import pytest

from search import ItemQuery, Manner, reference_from_counts
from search.errors import ItemMissingError, QueryError


@pytest.fixture(scope="module")
def reference(planted):
    tissues = np.repeat([0, 1, 2], 12)
    return reference_from_counts(
        planted.counts_of(tissues, seed=99), planted.GENES, [planted.TISSUES[t] for t in tissues]
    )


@pytest.mark.parametrize("method", ["reweighted", "plain"])
def test_each_place_is_as_if_asked_alone(engine, reference, method):
    manner = Manner(method=method)
    found = engine.decompose_slide("A1", reference, manner=manner)
    assert (found.source, found.method) == ("counts", method)
    assert found.proportions.sum(axis=1).to_numpy() == pytest.approx(np.ones(len(found)))
    for place in found.proportions.index[:3]:
        alone = engine.decompose(ItemQuery(place, "expression"), reference, manner=manner).to_pandas()
        alone = alone.set_index("type").loc[list(found.shares.types)]
        assert found.proportions.loc[place].to_numpy() == pytest.approx(alone["proportion"].to_numpy(), abs=1e-6)
        # Twenty samples in types against a hundred in genes, fitted anew: alike, not equal.
        assert found.sd.loc[place].to_numpy() == pytest.approx(alone["sd"].to_numpy(), rel=0.7, abs=0.02)


def test_tiles_are_decomposed_from_their_hits(engine, reference):
    found = engine.decompose_slide("A1", reference, source="hits", k=20)
    assert found.source == "hits"
    assert {"tile"} <= set(found.table.column("kind").to_pylist())
    place = "A1/tile/900x500"
    alone = engine.decompose(ItemQuery(place), reference, k=20).to_pandas().set_index("type")
    assert found.proportions.loc[place, "immune"] == pytest.approx(alone.loc["immune", "proportion"], abs=0.05)
    assert found.sd.loc[place].max() > 0
    assert any("not from the places themselves" in note for note in found.notes)
    whole = found.proportions.to_numpy()
    assert whole.sum(axis=1) == pytest.approx(np.ones(len(found)))
    everything = engine.decompose_slide("A1", reference, source="hits", k=20, exclude="none")
    assert not any("left out" in note and "slide" in note for note in everything.notes)


def test_some_items_and_the_whole_in_json(engine, reference):
    found = engine.decompose_slide("A1", reference, items=["A1/spot/s0", "A1/spot/s1"])
    assert found.table.column("id").to_pylist() == ["A1/spot/s0", "A1/spot/s1"]
    told = json.loads(json.dumps(found.to_dict()))
    assert sum(told["rows"][0]["proportions"].values()) == pytest.approx(1)
    assert sum(one["mean"] for one in told["overall"]) == pytest.approx(1)
    assert told["overall"][0]["mean"] == max(one["mean"] for one in told["overall"])
    assert found.table.column("dominant").to_pylist()[0] == "tumour"


def test_places_that_cannot_be_decomposed(engine, reference):
    with pytest.raises(ItemMissingError, match="NOSUCH"):
        engine.decompose_slide("NOSUCH", reference)
    with pytest.raises(QueryError, match="does not lie on slide 'A1'"):
        engine.decompose_slide("A1", reference, items=["A2/spot/s0"])
    with pytest.raises(QueryError, match="There are no items"):
        engine.decompose_slide("A1", reference, items=[])
    with pytest.raises(QueryError, match="No place of slide 'A1' has counts"):
        engine.decompose_slide("A1", reference, items=["A1/tile/900x500"], source="counts")
