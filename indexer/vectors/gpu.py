"""Vectors on a GPU: FAISS's flat and inverted-list indexes there, behind the few calls a search needs.

FAISS's GPU build has the same module name as its CPU build and is installed in its place (`pip install
histoseek[gpu]`). Its resources serve one thread at a time, hence the lock. One GPU is used, the first.
"""

from threading import Lock
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors
from indexer.vectors.lists import Lists

Positions = npt.NDArray[np.int64]
#: Most hits, and most lists, that FAISS gives for one query on a GPU.
MOST = 2_048
#: Numbers (rows times dim) up to which all are compared: 8 GB, a few milliseconds of a GPU's memory bandwidth.
FLAT_VALUES = 4_000_000 * 512
_ADD_ROWS = 65_536
_DEVICE = 0


class GpuIndex:
    """One index on the GPU.

    Attributes
    ----------
    kind : {"flat", "ivf_flat"}
        Whether every vector is compared, or those of some lists.
    n_lists : int
        Lists; 0 of a flat one.
    """

    def __init__(self, kind: Literal["flat", "ivf_flat"], index: Any, n_lists: int, kept: tuple[Any, ...]) -> None:
        self.kind = kind
        self.n_lists = n_lists
        self._index = index
        self._kept = kept  # FAISS's own objects do not keep each other alive
        self._lock = Lock()

    def search(self, queries: Vectors, k: int, probes: int = 0) -> tuple[Floats, Positions]:
        """Find the rows most like some unit queries `(q, dim)`.

        Parameters
        ----------
        k : int
            Rows wanted of each, `MOST` at most.
        probes : int
            Lists compared for each, `MOST` at most; of no meaning to a flat index.

        Returns
        -------
        float32 (q, k), int64 (q, k)
            Inner products, descending, and rows, -1 where there are fewer.
        """
        with self._lock:
            if probes:
                self._index.nprobe = probes
            scores, rows = self._index.search(queries, k)
        return (1 - scores / 2 if self.n_lists else scores), rows  # of unit vectors


class Gpu:
    """The GPU as FAISS offers it.

    Parameters
    ----------
    library : module
        FAISS, or what stands in for its GPU classes.
    """

    def __init__(self, library: Any) -> None:
        self._faiss = library
        self._resources = library.StandardGpuResources()

    def flat(self, vectors: Vectors) -> GpuIndex:
        """Put vectors `(n, dim)` there to compare them all; raises `RuntimeError` if they do not fit."""
        config = self._faiss.GpuIndexFlatConfig()
        config.device = _DEVICE
        index = self._faiss.GpuIndexFlatIP(self._resources, vectors.shape[1], config)
        for start in range(0, len(vectors), _ADD_ROWS):
            index.add(np.ascontiguousarray(vectors[start : start + _ADD_ROWS]))
        return GpuIndex("flat", index, 0, (self._resources,))

    def inverted_lists(self, vectors: Vectors, lists: Lists) -> GpuIndex:
        """Put vectors there, each in the list it has on the CPU; holds a copy of them in memory meanwhile.

        Raises `RuntimeError` if they do not fit.
        """
        faiss, (n_lists, dim) = self._faiss, lists.centroids.shape
        # By distances, which order unit vectors as inner products do, but lists as their rows were put into them.
        quantizer = faiss.IndexFlatL2(dim)
        quantizer.add(np.ascontiguousarray(lists.centroids))
        index = faiss.IndexIVFFlat(quantizer, dim, n_lists, faiss.METRIC_L2)
        index.train(np.ascontiguousarray(lists.centroids))  # nothing is left to learn but this sets it ready
        for start in range(0, len(vectors), _ADD_ROWS):
            part = np.ascontiguousarray(vectors[start : start + _ADD_ROWS])
            its = lists.list_of[start : start + len(part)].astype(np.int64)
            index.add_core(len(part), faiss.swig_ptr(part), None, faiss.swig_ptr(its))
        there = faiss.index_cpu_to_gpu(self._resources, _DEVICE, index)
        return GpuIndex("ivf_flat", there, n_lists, (self._resources, quantizer))


def n_gpus(library: Any) -> int:
    """GPUs that FAISS sees; none with its CPU build."""
    return int(library.get_num_gpus()) if hasattr(library, "get_num_gpus") else 0
