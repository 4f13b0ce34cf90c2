"""The same questions to every engine give the same hits, and a newer commit is seen by each verb of each."""

import pytest

from indexer.upkeep.lance_upkeep import make_lance_indexes
from indexer.vectors import ann, table_vector_set
from search.engine import Engine
from search.query import ItemQuery
from search.retrieval import plan
from tests.indexer.store_doubles import DIM, fake_space
from tests.indexer.tiny_index import add

N_SLIDES, PER_SLIDE = 6, 100


@pytest.fixture(scope="module", autouse=True)
def few_are_compared_one_by_one():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_vector_set, "_FEW", 90)
        patch.setattr(ann, "EXACT_VALUES", 90 * DIM)
        patch.setattr(plan, "_SCAN_ROWS", 90)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agree") / "index"
    add(folder, *(f"S'{i}" for i in range(N_SLIDES)), n=PER_SLIDE)  # a quote in every name
    make_lance_indexes(folder)
    return folder


ASKED = {
    "plain": {},
    "another page": {"k": 5, "offset": 7},
    "a condition": {"where": "slide IN ('S''1', 'S''4') OR id LIKE '%/tile/1_'"},
    "a condition that lists cannot tell": {"where": "patient IS NOT NULL AND NOT slide = 'S''2'"},
    "own slide": {"exclude": "slide"},
    "nothing left out": {"exclude": "none"},
    "groups": {"group_by": "slide", "k": 4, "per_group": 2},
    "scores between": {"min_score": -0.1, "max_score": 0.4, "k": 20},
    "a few": {"where": "slide = 'S''3'"},
    "exactly": {"exact": True, "k": 30},
}


@pytest.mark.parametrize("engine", ["codes", "lance"])
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_hits_are_those_of_the_usual_engine(place, engine, asked):
    usual = Engine.open(place, space=fake_space(), search_device="cpu")
    other = Engine.open(place, space=fake_space(), engine=engine)
    query = ItemQuery("S'2/tile/40")
    truth = usual.search(query, target="image", kind="tile", **(asked | {"exact": True})).table
    found = other.search(query, target="image", kind="tile", **asked, explain=True)
    assert found.table["id"].to_pylist() == truth["id"].to_pylist()
    assert found.table["score"].to_pylist() == pytest.approx(truth["score"].to_pylist(), abs=1e-6)
    if asked == {} and engine == "lance":
        assert found.plan.strategy == "ann"
        assert "LanceDB" in found.plan.explained["stopped"]


def test_an_engine_opens_a_new_commit_with_its_own_way_of_searching(tmp_path):
    add(tmp_path / "idx", "A", "B", n=150)
    make_lance_indexes(tmp_path / "idx")
    engine = Engine.open(tmp_path / "idx", space=fake_space(), engine="lance")
    before = engine.index
    assert len(engine.search(ItemQuery("A/tile/0"), target="image", kind="tile", exclude="none")) == 10
    add(tmp_path / "idx", "C", n=150, sidecars=False)
    # any verb takes the last commit first
    assert engine.cohorts(ItemQuery("C/tile/7"), by="organ", target="image", kind="tile", exclude="none").table.num_rows
    assert engine.index is not before
    assert engine.index.access.engine == "lance"
    assert len(engine.index) == 450
