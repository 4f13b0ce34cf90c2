"""Measuring an index on its own vectors, and what is set by it."""

import json

import numpy as np
import pytest

from encoders.contracts import unit_rows
from indexer.errors import StoreError
from indexer.index import Index
from indexer.upkeep.inventory import take_inventory
from indexer.upkeep.tuning import tune
from indexer.vectors import ann
from indexer.vectors.ann import AnnIndex
from indexer.vectors.evidence import measure
from indexer.vectors.knobs import TUNING_FILE
from indexer.vectors.sidecar_card import sidecar_folder
from tests.indexer.tiny_index import add


def test_a_small_index_compares_every_vector(tmp_path):
    add(tmp_path / "idx", "A", "B", n=30)
    rows = tune(Index.open(tmp_path / "idx"), "image", n_queries=5)
    assert [(row.queries, row.tolerance, row.recall) for row in rows] == [("own", 0.0, 1.0)]


def test_the_setting_that_reaches_the_recall_is_kept_and_used(tmp_path, monkeypatch):
    monkeypatch.setattr(ann, "EXACT_VALUES", 800)
    add(tmp_path / "idx", "A", "B", "C", n=400)
    index = Index.open(tmp_path / "idx")
    rows = tune(index, "image", recall=0.95, n_queries=20)
    assert rows[-1].is_set
    assert rows[-1].recall >= 0.95
    assert [row.recall for row in rows[:-1]] == sorted(row.recall for row in rows[:-1])
    assert sum(row.is_set for row in rows) == 1
    (path,) = (tmp_path / "idx" / "sidecar" / "image").iterdir()
    kept = json.loads((path / TUNING_FILE).read_text())
    assert kept["tolerance"] == rows[-1].tolerance
    assert kept["bytes_per_vector"] > 0
    assert Index.open(tmp_path / "idx").vectors("image").evidence.tolerance == rows[-1].tolerance
    add(tmp_path / "idx", "D", n=400)
    folded = Index.open(tmp_path / "idx")
    assert sidecar_folder(folded.folder, "image", folded.vector_table()) != path
    assert folded.vectors("image").evidence.tolerance == rows[-1].tolerance
    assert take_inventory(folded).tuning["image"].tolerance == rows[-1].tolerance
    (path / TUNING_FILE).write_text("{")
    assert Index.open(tmp_path / "idx").vectors("image").evidence is not None


@pytest.mark.parametrize("asked", [{"recall": 0}, {"recall": 1.5}, {"k": 0}, {"k": 500}, {"n_queries": 0}])
def test_what_cannot_be_measured_is_refused(tmp_path, asked):
    add(tmp_path / "idx", "A")
    with pytest.raises(StoreError, match="expected"):
        tune(Index.open(tmp_path / "idx"), "image", **asked)


def test_the_bounds_are_measured_the_same_each_time():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(30, 128))
    vectors = unit_rows((centres[rng.integers(0, 30, 3000)] + rng.normal(size=(3000, 128))).astype(np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ann, "EXACT_VALUES", 1000)
        built = AnnIndex.build(vectors)
    evidence = measure(vectors, built)
    assert evidence == measure(vectors, built)
    assert 0 < evidence.tolerance <= 0.1
    assert evidence.list_miss <= 0.02
