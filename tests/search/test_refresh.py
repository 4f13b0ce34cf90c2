"""An engine that stays open while its index is written."""

import numpy as np

from encoders.contracts import unit_rows
from indexer.upkeep.maintenance import optimize_index
from search.engine import Engine
from search.query import VectorQuery
from tests.indexer.store_doubles import DIM, fake_space
from tests.indexer.tiny_index import add

QUERY = VectorQuery(unit_rows(np.ones((1, DIM), np.float32))[0])


def slides_of(engine):
    return set(engine.search(QUERY, target="image", k=100).table["slide"].to_pylist())


def test_new_rows_are_found_by_the_next_search(tmp_path):
    add(tmp_path / "idx", "A", "B")
    engine = Engine.open(tmp_path / "idx", space=fake_space())
    assert slides_of(engine) == {"A", "B"}
    assert not engine.refresh()
    add(tmp_path / "idx", "C", sidecars=False)  # committed, and not yet in a sidecar
    assert slides_of(engine) == {"A", "B", "C"}
    assert not engine.refresh()
    optimize_index(tmp_path / "idx")
    assert engine.refresh()
    assert slides_of(engine) == {"A", "B", "C"}


def test_rows_gone_since_the_sidecar_are_not_found(tmp_path):
    add(tmp_path / "idx", "A", "B", "C")
    add(tmp_path / "idx", "B", seed=1, sidecars=False)  # replaced: its old rows are in the sidecar still
    engine = Engine.open(tmp_path / "idx", space=fake_space())
    found = engine.search(QUERY, target="image", k=100)
    assert len(found) == len(engine.index) == 18
    assert len(set(found.table["id"].to_pylist())) == 18
    metadata = engine.index.metadata()
    assert metadata.equals(engine.index.columns.plain())
    rows, stored = engine.index.stored_vectors("image")
    assert np.array_equal(engine.index.vectors("image").vectors, stored)
    assert np.array_equal(engine.index.vectors("image").rows, rows)
    for row in rows[::5]:
        assert np.array_equal(engine.index.vectors("image").vector_of(int(row)), stored[row])
    exact = dict(zip(metadata["id"].to_pylist(), stored @ QUERY.vector, strict=True))
    for item, score in zip(found.table["id"].to_pylist(), found.table["score"].to_pylist(), strict=True):
        assert abs(exact[item] - score) < 1e-6
