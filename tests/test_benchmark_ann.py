"""The benchmark of search at size, at a small one: true answers, the engine under test, and the names of the rows."""

import numpy as np
import pytest

from benchmarks.ann_data import FILTERS, SLIDES_AN_ORGAN, K, generate
from benchmarks.ann_libraries import NumpyScan
from benchmarks.ann_rounds import Measured
from benchmarks.ann_rows import rows_of
from benchmarks.ann_worker import Worker, sql

N = 1_500


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return generate(tmp_path_factory.mktemp("ann") / "data", N, n_queries=6)


def test_the_data_are_unit_vectors_slide_by_slide_and_the_same_each_time(data, tmp_path):
    np.testing.assert_allclose(np.linalg.norm(data.vectors, axis=1), 1, atol=1e-5)
    assert (np.diff(data.slide_of) >= 0).all()
    np.testing.assert_array_equal(generate(tmp_path, N, n_queries=6).vectors, data.vectors)


@pytest.mark.parametrize("name", FILTERS)
def test_the_truth_is_what_a_plain_scan_finds(data, name):
    for i, query in enumerate(data.queries):
        allowed = data.allowed(name, i)
        rows = np.arange(N) if allowed is None else np.flatnonzero(allowed)
        best = rows[np.argsort(-(np.asarray(data.vectors)[rows] @ query), kind="stable")[:K]]
        assert set(best.tolist()) == set(data.truth(name)[i].tolist()) - {-1}


def test_an_organ_is_a_set_of_whole_slides_and_of_few_clusters(data):
    allowed = data.allowed("correlated-filter", 0)
    assert 0 < allowed.mean() < 0.5
    assert set(np.unique(data.slide_of[allowed] // SLIDES_AN_ORGAN)) == {7}
    assert set(data.text("organ")[allowed]) == {"organ-7"}


def test_histoseek_finds_the_truth_under_every_filter_through_its_public_verbs(data, tmp_path):
    worker = Worker("HistoSeek", data, tmp_path)
    worker.build()
    for name in FILTERS:
        assert worker.tune(name, 2, 0.99) == {"knob": "defaults"}
        found = worker.measure(name, 0, 6)
        assert np.mean(found["recall"]) >= 0.99
        assert min(found["ms"]) > 0
    assert worker.many()["recall"] >= 0.99
    assert worker.special("append")["found"]
    assert worker.special("scan")["recall"] >= 0.99


def test_a_peer_is_measured_by_the_same_worker(data, tmp_path, monkeypatch):
    worker = Worker("numpy", data, tmp_path)
    worker.build()
    assert isinstance(worker.engine, NumpyScan)
    assert {name: np.mean(worker.measure(name, 0, 6)["recall"]) for name in FILTERS} == dict.fromkeys(FILTERS, 1.0)


def test_filters_are_conditions_of_sql():
    assert sql("unfiltered", "slide-3") is None
    assert sql("own-slide exclusion", "slide-3") == "slide != 'slide-3'"
    assert sql("filtered-1%", "slide-3") == "u < 0.01"


def test_rows_have_the_names_of_the_bar_and_say_what_is_missing():
    def made(ms, recall):
        return Measured(
            build_s=2.0,
            ms={name: [ms] for name in FILTERS},
            recall={name: [recall] for name in FILTERS},
            knobs=dict.fromkeys(FILTERS, "k"),
        )

    measured = {
        "HistoSeek": made(2.0, 1.0),
        "LanceDB IVF_RQ": made(30.0, 1.0),
        "LanceDB IVF_HNSW_SQ": made(10.0, 0.5),  # faster, but not at the recall asked for
        "Chroma": Measured(missing={"": "not installed: no network"}),
    }
    rows = {row.row: row for row in rows_of(measured, 10)}
    assert rows["unfiltered recall@10"].value == 1.0
    assert rows["correlated-filter recall@10"].value == 1.0
    assert rows["unfiltered p50 speed-up over LanceDB"].value == pytest.approx(15.0)
    assert rows["filtered-1% p50 speed-up over LanceDB"].value == pytest.approx(15.0)
    assert rows["worst recall@10 over all filters (LanceDB IVF_HNSW_SQ)"].value == 0.5
    assert rows["anything (Chroma)"].note == "not installed: no network"
