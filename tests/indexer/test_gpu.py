"""Searching on a GPU, with FAISS's CPU indexes in the place of its GPU ones and their limits."""

from types import SimpleNamespace

import faiss
import numpy as np
import pytest

from encoders.contracts import unit_rows
from indexer.errors import StoreError
from indexer.vectors import ann, gpu_vectors
from indexer.vectors.gpu_vectors import GpuVectorSet, on_device
from indexer.vectors.vector_set import VectorSet

N, DIM, K, MOST = 20_000, 32, 10, 256


class Limited:
    """A CPU index with the limits of a GPU one."""

    def __init__(self, index, memory_bytes):
        self._index, self._memory = index, memory_bytes
        self.asked = []
        self._check()

    def _check(self):
        if self._index.ntotal * self._index.d * 4 > self._memory:
            raise RuntimeError("Error: cudaMalloc: out of memory\nand where")

    def add(self, vectors):
        self._index.add(vectors)
        self._check()

    def search(self, queries, k):
        assert 0 < k <= MOST
        self.asked.append(k)
        return self._index.search(queries, k)

    def __setattr__(self, name, value):
        if name == "nprobe":
            assert 0 < value <= MOST
            self._index.nprobe = value
        else:
            super().__setattr__(name, value)


def twin(memory_bytes=10**9):
    """What stands in for FAISS with one GPU."""
    return SimpleNamespace(
        **{name: getattr(faiss, name) for name in ("IndexFlatL2", "IndexIVFFlat", "METRIC_L2", "swig_ptr")},
        get_num_gpus=lambda: 1,
        StandardGpuResources=SimpleNamespace,
        GpuIndexFlatConfig=SimpleNamespace,
        GpuIndexFlatIP=lambda resources, dim, config: Limited(faiss.IndexFlatIP(dim), memory_bytes),
        index_cpu_to_gpu=lambda resources, device, index: Limited(index, memory_bytes),
    )


@pytest.fixture(scope="module", autouse=True)
def few_are_compared_one_by_one():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ann, "EXACT_VALUES", 1_000 * DIM)
        patch.setattr(ann, "RABITQ_MIN_DIM", 64)
        patch.setattr(gpu_vectors, "MOST", MOST)
        yield


@pytest.fixture(scope="module")
def world():
    """Vectors in 100 clusters; on the CPU 500 rows of the base are gone and 300 came after."""
    random = np.random.default_rng(0)
    centres = unit_rows(random.normal(size=(100, DIM)).astype(np.float32))
    of = random.integers(0, 100, N)
    vectors = unit_rows(centres[of] + random.normal(0, 0.2, (N, DIM)).astype(np.float32))
    whole = VectorSet.over("image", np.arange(N), vectors, N)
    late = unit_rows(centres[:3].repeat(100, axis=0) + random.normal(0, 0.2, (300, DIM)).astype(np.float32))
    alive = random.random(N) > 0.025
    item_of = np.where(alive, np.cumsum(alive) - 1, -1)
    n_items = int(alive.sum()) + 300
    item_of = np.concatenate([item_of, n_items - 300 + np.arange(300)])
    cluster = np.concatenate([of[alive], np.arange(3).repeat(100)])
    cpu = VectorSet("image", item_of, vectors, n_items, lambda: (whole.ann, whole.evidence), late)
    return SimpleNamespace(cpu=cpu, cluster=cluster, queries=unit_rows(centres[::9] + 0.05), random=random)


def filters(world):
    n = world.cpu.n_items
    return {
        "none": np.ones(n, dtype=bool),
        "half": np.random.default_rng(1).random(n) < 0.5,
        "a tenth": np.random.default_rng(2).random(n) < 0.1,
        "correlated": np.isin(world.cluster, [60, 61, 62, 63, 64, 65, 66, 67]),
        "own cluster left out": world.cluster != 0,
    }


@pytest.mark.parametrize("kind", ["flat", "ivf_flat"])
def test_the_same_as_on_the_cpu(world, kind, monkeypatch):
    if kind == "ivf_flat":
        monkeypatch.setattr(gpu_vectors, "FLAT_VALUES", 0)
    found = on_device(world.cpu, "auto", twin())
    assert isinstance(found, GpuVectorSet)
    assert found.on_gpu.kind == kind
    for name, mask in filters(world).items():
        shares = []
        for query in world.queries:
            truth = world.cpu.nearest(query, K, mask, exact=True)
            there = found.nearest(query, K, mask)
            assert "On the GPU" in there.trace.stopped
            assert mask[there.rows].all()
            scores = dict(zip(truth.rows.tolist(), truth.scores.tolist(), strict=True))
            assert all(
                scores.get(r, s) == pytest.approx(s, abs=1e-6) for r, s in zip(there.rows, there.scores, strict=True)
            )
            shares.append(len(np.intersect1d(there.rows, truth.rows)) / K)
            if there.strategy == "exact":
                assert there.rows.tolist() == truth.rows.tolist(), name
        assert np.mean(shares) >= 0.99, (name, shares)
    assert found.nearest(world.queries[0], K, filters(world)["correlated"]).strategy == "exact"


def test_many_queries_at_once_are_answered_as_one_by_one(world):
    found = on_device(world.cpu, "auto", twin())
    for mask in filters(world).values():
        many = found.search(world.queries, K, mask)
        for query, rows, scores in zip(world.queries, many.rows, many.scores, strict=True):
            truth = world.cpu.nearest(query, K, mask, exact=True)
            assert rows.tolist() == truth.rows.tolist()
            assert scores == pytest.approx(truth.scores, abs=1e-6)


def test_filtered_sets_stay_on_the_gpu_and_go_in_turn(world, monkeypatch):
    found = on_device(world.cpu, "auto", twin())
    selections = [found.select(np.isin(world.cluster, range(first, first + 8))) for first in range(10, 80, 8)]
    for selection in (*selections, selections[-1]):
        found.nearest(world.queries[0], K, selection)
    assert len(found._sets) == gpu_vectors._KEPT_SETS
    assert id(selections[-1]) in found._sets
    monkeypatch.setattr(gpu_vectors, "_SET_VALUES", 10)
    alone = found.nearest(world.queries[0], K, selections[0])
    assert "GPU" not in alone.trace.stopped
    assert alone.rows.tolist() == world.cpu.nearest(world.queries[0], K, selections[0], exact=True).rows.tolist()


def test_what_does_not_fit_is_searched_on_the_cpu_and_said(world, caplog):
    query = world.queries[0]
    found = on_device(world.cpu, "auto", twin(memory_bytes=1_000_000))
    assert found.nearest(query, K).rows.tolist() == world.cpu.nearest(query, K).rows.tolist()
    assert "cannot be put on the GPU (Error: cudaMalloc: out of memory); they are searched on the CPU" in caplog.text
    found.nearest(query, K)
    assert len(caplog.records) == 1
    with pytest.raises(StoreError, match=r"cannot be put on the GPU: Error: cudaMalloc.*device auto or cpu"):
        on_device(world.cpu, "cuda", twin(memory_bytes=1_000_000)).nearest(query, K)


def test_without_a_gpu(world):
    none = SimpleNamespace(get_num_gpus=lambda: 0)
    assert on_device(world.cpu, "auto", none) is world.cpu
    assert on_device(world.cpu, "cpu", twin()) is world.cpu
    with pytest.raises(StoreError, match="FAISS sees no GPU"):
        on_device(world.cpu, "cuda", none)


def test_few_and_many_hits_are_the_cpus(world):
    found = on_device(world.cpu, "auto", twin())
    for k in (0, MOST, 5_000):
        assert "GPU" not in found.nearest(world.queries[0], k).trace.stopped
    narrow = np.zeros(world.cpu.n_items, dtype=bool)
    narrow[:50] = True
    assert "GPU" not in found.nearest(world.queries[0], K, narrow).trace.stopped
