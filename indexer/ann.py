"""FAISS indexes over one modality's vectors: which kind at which size, and searching them.

Up to `EXACT_VALUES` numbers (20,000 rows of 512) the index is flat and exact: a scan takes a millisecond or two and
needs no training. Above that it is an inverted file; its lists hold 1-bit RaBitQ codes (Gao & Long, SIGMOD 2024)
where the dimension is high enough for them to order candidates, else the vectors themselves. Approximate answers are
candidates: the caller orders them again on full-precision vectors.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from encoders.contracts import Vectors

Kind = Literal["flat", "ivf_flat", "ivf_rabitq"]
Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: Numbers (rows times dim) that are compared one by one.
EXACT_VALUES = 20_000 * 512
#: Below this dimension one bit a dimension loses the order, and full vectors are small anyway.
RABITQ_MIN_DIM = 128
#: Candidates fetched for each hit wanted, so that re-ranking can mend the order of the codes: cosines of spaces that
#: join pictures and genes lie so close together that 1-bit codes shuffle the first hundreds.
OVERFETCH: dict[Kind, int] = {"flat": 1, "ivf_flat": 1, "ivf_rabitq": 50}
_MIN_CANDIDATES = 500
_TRAIN_PER_LIST = 64
_MIN_PROBES = 32
#: A filter that leaves less than this may leave nothing near the query, so all lists are looked at, and more deeply.
_THIN_SHARE = 0.9
_THIN_OVERFETCH = 10
_ADD_ROWS = 20_000
_FLAT_MARGIN = 32  # FAISS and the caller may round the last hits apart


def is_small(n_rows: int, dim: int) -> bool:
    """Whether so many vectors are compared one by one, with no index to propose candidates."""
    return n_rows * dim <= EXACT_VALUES


def kind_for(n_rows: int, dim: int) -> Kind:
    """Kind of index for a number of vectors and their dimension."""
    if is_small(n_rows, dim):
        return "flat"
    return "ivf_rabitq" if dim >= RABITQ_MIN_DIM else "ivf_flat"


class AnnIndex:
    """A FAISS index over the rows of a float32 matrix of unit vectors; positions are row numbers of that matrix."""

    def __init__(self, index: Any, kind: Kind) -> None:
        self._index = index
        self.kind = kind

    @classmethod
    def build(cls, vectors: Vectors) -> "AnnIndex":
        """Train and fill an index over `vectors` float32 (n, dim); deterministic, uses one core."""
        faiss = _faiss()
        faiss.omp_set_num_threads(1)  # k-means sums in the order of its threads, so more of them are not repeatable
        n, dim = vectors.shape
        kind = kind_for(n, dim)
        if kind == "flat":
            index = faiss.IndexFlatIP(dim)
        else:
            lists = int(2 ** np.round(np.log2(2 * np.sqrt(n))))
            code = "Flat" if kind == "ivf_flat" else "RaBitQfs"
            index = faiss.index_factory(dim, f"IVF{lists},{code}", faiss.METRIC_INNER_PRODUCT)
            sample = np.linspace(0, n - 1, min(n, lists * _TRAIN_PER_LIST)).astype(np.int64)
            index.train(np.ascontiguousarray(vectors[sample]))
        for start in range(0, n, _ADD_ROWS):
            index.add(np.ascontiguousarray(vectors[start : start + _ADD_ROWS]))
        return cls(index, kind)

    @classmethod
    def load(cls, path: Path, kind: Kind) -> "AnnIndex":
        """Map an index file into memory; raises `RuntimeError` (from FAISS) if it is truncated or not an index."""
        faiss = _faiss()
        return cls(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC), kind)

    def save(self, path: Path) -> None:
        """Write the index file."""
        _faiss().write_index(self._index, str(path))

    @property
    def n_rows(self) -> int:
        """Vectors in the index."""
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        """Dimension of the vectors."""
        return int(self._index.d)

    def candidates(self, queries: Vectors, k: int, allowed: Mask | None = None) -> Positions:
        """Nearest rows by inner product, `OVERFETCH` times as many as wanted.

        Parameters
        ----------
        queries : float32 (q, dim)
            Unit vectors.
        k : int
            Hits wanted for each query.
        allowed : bool (n_rows,), optional
            Rows that may answer.

        Returns
        -------
        int64 (q, at least k)
            Row numbers, -1 where fewer were found.
        """
        faiss = _faiss()
        faiss.omp_set_num_threads(1)  # a second thread does not speed a single query up, and starves other sessions
        selector = None
        is_thin = False
        if allowed is not None:
            selector = faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
            is_thin = float(allowed.mean()) < _THIN_SHARE
        if self.kind == "flat":
            wanted, parameters = k + _FLAT_MARGIN, faiss.SearchParameters(sel=selector)
        else:
            lists = int(self._index.nlist)
            probes = lists if is_thin else max(_MIN_PROBES, lists // 16)
            parameters = faiss.SearchParametersIVF(sel=selector, nprobe=min(lists, probes))
            wanted = max(k * OVERFETCH[self.kind], _MIN_CANDIDATES) * (_THIN_OVERFETCH if is_thin else 1)
        batch = np.ascontiguousarray(queries, dtype=np.float32)
        _, positions = self._index.search(batch, min(self.n_rows, wanted), params=parameters)
        return np.asarray(positions, dtype=np.int64)


def faiss_version() -> str:
    """Version of the FAISS that writes indexes here."""
    return str(_faiss().__version__)


def _faiss() -> Any:
    # Any, because FAISS's stubs describe the C++ constructors, not the Python ones that replace them.
    import faiss

    return faiss
