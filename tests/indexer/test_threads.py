"""FAISS and PyTorch in one process: both work, and neither is left with other threads than before."""

from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np
import pytest

from encoders.contracts import unit_rows
from indexer.vectors import ann
from indexer.vectors.threads import faiss_threads, n_cores, threads_for, within
from indexer.vectors.vector_set import VectorSet


def test_threads_are_put_back_also_after_an_error():
    before = faiss.omp_get_max_threads()
    with faiss_threads(before + 2):
        assert faiss.omp_get_max_threads() == before + 2
    with pytest.raises(ZeroDivisionError), faiss_threads(before + 2):
        raise ZeroDivisionError
    assert faiss.omp_get_max_threads() == before


def test_a_single_query_uses_one_thread(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert (n_cores(), threads_for(1), threads_for(16), threads_for(1_000)) == (8, 1, 2, 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert (n_cores(), threads_for(1_000)) == (3, 3)


def test_torch_and_faiss_share_a_process(monkeypatch):
    import torch

    monkeypatch.setattr(ann, "EXACT_VALUES", 1_000)
    matrix = unit_rows(np.random.default_rng(0).normal(size=(2_000, 128)).astype(np.float32))
    threads = torch.get_num_threads(), faiss.omp_get_max_threads(), faiss.cvar.distance_compute_blas_threshold
    found = VectorSet.over("image", np.arange(2_000), matrix, 2_000)
    for query in matrix[:20]:
        product = torch.from_numpy(matrix) @ torch.from_numpy(query)
        assert found.search(query, 1).rows[0, 0] == int(product.argmax())
    assert found.strategy() == "ann"
    after = torch.get_num_threads(), faiss.omp_get_max_threads(), faiss.cvar.distance_compute_blas_threshold
    assert after == threads


def test_a_thread_that_runs_beside_others_uses_one_core(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with ThreadPoolExecutor(1) as pool, within(1):
        assert (n_cores(), threads_for(100)) == (1, 1)
        assert pool.submit(n_cores).result() == 8
    assert n_cores() == 8
