"""Vector libraries as peers: they give row numbers, and the metadata of the hits is taken from columns in memory."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ann_data import TEXT_COLUMNS, Data, Floats, K, Rows
from benchmarks.ann_worker import condition

_RERANK = 100
_CORES_OF_A_QUERY = 1  # a single query is bound by memory: more threads make it slower on a shared machine
#: Queries of a batch from which on FAISS is to multiply matrices: 1.15 does so from 128,000 on, far slower below.
_BLAS_FROM = 20


class Library:
    """What every library needs around it: metadata columns, and masks of filters, which are kept."""

    knobs: tuple[Any, ...] = (None,)
    filters = True

    def build(self, data: Data, folder: Path) -> None:  # noqa: ARG002
        """Keep the metadata in memory and index the vectors."""
        self._columns: dict[str, Any] = {name: data.text(name) for name in TEXT_COLUMNS} | {"u": data.u}
        self._masks: dict[tuple[str, str], Any] = {}
        self.index(np.ascontiguousarray(data.vectors))

    def index(self, vectors: Floats) -> None:
        """Index the vectors."""
        raise NotImplementedError

    def nearest(self, query: Floats, mask: Any, knob: Any) -> Rows:
        """Best rows, best first; `mask` is `None` or bool `(n,)`."""
        raise NotImplementedError

    def ask(self, query: Floats, name: str, own: str, knob: Any) -> list[int]:
        """Rows of the hits, with their metadata read."""
        rows = self.nearest(query, self._mask(name, own), knob)
        hits = rows[rows >= 0][:K]
        for column in self._columns.values():
            column[hits]
        return [int(row) for row in hits]

    def ask_many(self, queries: Floats, knob: Any) -> list[list[int]]:
        """One query after the other, unless the library has better."""
        return [self.ask(query, "unfiltered", "", knob) for query in queries]

    def _mask(self, name: str, own: str) -> Any:
        found = condition(name, own)
        if found is None:
            return None
        if not self.filters:
            raise NotImplementedError("its Python interface has no filter")
        column, operator, value = found
        values = self._columns[column]
        if operator == "<":
            return values < value
        key = (name, own)
        if key not in self._masks:  # comparing text takes longer than the search; any user would keep the mask
            self._masks[key] = values == value if operator == "=" else values != value
        return self._masks[key]


def _top(scores: Floats) -> Rows:
    best = np.argpartition(-scores, K)[:K]
    return np.asarray(best[np.argsort(-scores[best])])


class NumpyScan(Library):
    """One matrix-vector product."""

    def index(self, vectors: Floats) -> None:
        """Keep them."""
        self._vectors = vectors

    def nearest(self, query: Floats, mask: Any, knob: Any) -> Rows:  # noqa: ARG002
        """Score all, or the allowed."""
        if mask is None:
            return _top(self._vectors @ query)
        rows = np.flatnonzero(mask)
        if len(rows) * 4 > len(mask):
            return _top(np.where(mask, self._vectors @ query, -np.inf))
        return np.asarray(rows[_top(self._vectors[rows] @ query)])


class TorchScan(NumpyScan):
    """The same in PyTorch."""

    def index(self, vectors: Floats) -> None:
        """Keep them as a tensor."""
        self._torch: Any = import_module("torch")
        self._tensor = self._torch.from_numpy(vectors)

    def nearest(self, query: Floats, mask: Any, knob: Any) -> Rows:  # noqa: ARG002
        """Score all; those not allowed are put last."""
        scores = self._tensor @ self._torch.from_numpy(query)
        if mask is not None:
            scores[~self._torch.from_numpy(mask)] = -self._torch.inf
        return np.asarray(scores.topk(K).indices.numpy())

    def ask_many(self, queries: Floats, knob: Any) -> list[list[int]]:  # noqa: ARG002
        """One matrix product."""
        found = (self._torch.from_numpy(queries) @ self._tensor.T).topk(K, dim=1).indices
        rows: list[list[int]] = found.tolist()
        return rows


class Sklearn(Library):
    """`NearestNeighbors` by brute force."""

    filters = False

    def index(self, vectors: Floats) -> None:
        """Fit it."""
        self._neighbours = import_module("sklearn.neighbors").NearestNeighbors(
            n_neighbors=K, metric="cosine", algorithm="brute"
        )
        self._neighbours.fit(vectors)

    def nearest(self, query: Floats, mask: Any, knob: Any) -> Rows:  # noqa: ARG002
        """Ask it."""
        return np.asarray(self._neighbours.kneighbors(query[None], return_distance=False)[0])


class FaissFlat(Library):
    """`IndexFlatIP`."""

    def index(self, vectors: Floats) -> None:
        """Fill it."""
        self._faiss: Any = import_module("faiss")
        self._n_cores = self._faiss.omp_get_max_threads()
        self._index = self.made(vectors)
        self._faiss.omp_set_num_threads(_CORES_OF_A_QUERY)

    def made(self, vectors: Floats) -> Any:
        """The index."""
        index = self._faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        return index

    def nearest(self, query: Floats, mask: Any, knob: Any) -> Rows:
        """Ask it, with a bitmap for the filter."""
        found = self._index.search(query[None], K, params=self.parameters(self.selector(mask), knob))[1]
        return np.asarray(found[0])

    def selector(self, mask: Any) -> Any:
        """Bitmap of the allowed rows; `None` for all."""
        if mask is None:
            return None
        self._bits = np.packbits(mask, bitorder="little")  # FAISS does not keep it
        return self._faiss.IDSelectorBitmap(self._bits)

    def parameters(self, selector: Any, knob: Any) -> Any:  # noqa: ARG002
        """Search parameters."""
        return None if selector is None else self._faiss.SearchParameters(sel=selector)

    def ask_many(self, queries: Floats, knob: Any) -> list[list[int]]:
        """One batch on all cores, by matrix products, which FAISS leaves to itself up to far larger batches."""
        self._faiss.omp_set_num_threads(self._n_cores)
        self._faiss.cvar.distance_compute_blas_threshold = _BLAS_FROM
        try:
            rows: list[list[int]] = self.many(queries, knob).tolist()
        finally:
            self._faiss.omp_set_num_threads(_CORES_OF_A_QUERY)
        return rows

    def many(self, queries: Floats, knob: Any) -> Rows:
        """Best rows of many queries."""
        return np.asarray(self._index.search(queries, K, params=self.parameters(None, knob))[1])


class FaissHnsw(FaissFlat):
    """`IndexHNSWFlat` with 32 neighbours."""

    knobs = (32, 64, 96, 128, 256, 512, 1024)

    def made(self, vectors: Floats) -> Any:
        """The graph."""
        index = self._faiss.IndexHNSWFlat(vectors.shape[1], 32, self._faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 80
        index.add(vectors)
        return index

    def parameters(self, selector: Any, knob: Any) -> Any:
        """With the depth of the search."""
        return self._faiss.SearchParametersHNSW(sel=selector, efSearch=knob)


class FaissIvf(FaissFlat):
    """Inverted lists with 1-bit RaBitQ codes, re-ranked on the vectors; `knob` is lists probed and re-ranked rows."""

    knobs = ((8, 50), (16, 100), (24, 100), (32, 200), (64, 200), (128, 400), (256, 800), (1024, 800), (4096, 2000))

    def made(self, vectors: Floats) -> Any:
        """The lists, two for each square root of the rows."""
        self._vectors = vectors
        n_lists = int(2 ** np.round(np.log2(2 * np.sqrt(len(vectors)))))
        index = self._faiss.index_factory(vectors.shape[1], f"IVF{n_lists},RaBitQfs", self._faiss.METRIC_INNER_PRODUCT)
        index.cp.max_points_per_centroid = 64
        index.train(vectors[:: max(1, len(vectors) // (n_lists * 64))])
        index.add(vectors)
        return index

    def nearest(self, query: Floats, mask: Any, knob: Any) -> Rows:
        """Candidates by their codes, ordered by their vectors."""
        parameters = self._faiss.SearchParametersIVF(sel=self.selector(mask), nprobe=knob[0])
        rows = self._index.search(query[None], knob[1], params=parameters)[1][0]
        rows = rows[rows >= 0]
        return np.asarray(rows[np.argsort(-(self._vectors[rows] @ query))[:K]])

    def many(self, queries: Floats, knob: Any) -> Rows:
        """Candidates of the whole batch, then one query after the other."""
        parameters = self._faiss.SearchParametersIVF(nprobe=knob[0])
        found = self._index.search(queries, knob[1], params=parameters)[1]
        best = [np.argsort(-(self._vectors[rows] @ query))[:K] for rows, query in zip(found, queries, strict=True)]
        return np.take_along_axis(found, np.stack(best), axis=1)


class Hnswlib(Library):
    """hnswlib, whose filter is a call for each candidate."""

    knobs = (16, 32, 64, 128, 256, 512, 1024)

    def index(self, vectors: Floats) -> None:
        """The graph."""
        self._index = import_module("hnswlib").Index(space="ip", dim=vectors.shape[1])
        self._index.init_index(max_elements=len(vectors), M=24, ef_construction=120, random_seed=0)
        self._index.add_items(vectors)
        self._index.set_num_threads(_CORES_OF_A_QUERY)

    def nearest(self, query: Floats, mask: Any, knob: Any) -> Rows:
        """Ask it."""
        self._index.set_ef(knob)
        allowed = None if mask is None else lambda row: bool(mask[row])
        return np.asarray(self._index.knn_query(query, k=K, filter=allowed)[0][0].astype(np.int64))


class Usearch(Library):
    """usearch on full-precision vectors."""

    knobs = (16, 32, 64, 128, 256, 512, 1024)
    filters = False

    def index(self, vectors: Floats) -> None:
        """The graph."""
        made = import_module("usearch.index").Index
        self._index = made(ndim=vectors.shape[1], metric="ip", dtype="f32", connectivity=24, expansion_add=120)
        self._index.add(np.arange(len(vectors)), vectors)

    def nearest(self, query: Floats, mask: Any, knob: Any) -> Rows:  # noqa: ARG002
        """Ask it."""
        self._index.expansion_search = knob
        return np.asarray(self._index.search(query, K).keys.astype(np.int64))
