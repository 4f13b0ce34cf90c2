"""Inverted lists over the vectors of one modality: which kind at which size, training, coding and scanning them.

Up to `EXACT_VALUES` numbers (20,000 rows of 512) there are none: a scan takes a millisecond or two. Above that the
vectors lie in lists around k-means centroids, as 1-bit RaBitQ codes (Gao & Long, SIGMOD 2024) where the dimension is
high enough for them to order candidates, else whole. A scan gives estimates; `indexer.vectors.probing` decides which
lists are scanned and how many candidates are compared again on full-precision vectors.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors
from indexer.vectors.selection import Selection
from indexer.vectors.threads import faiss_threads, n_cores, threads_for

Kind = Literal["flat", "ivf_flat", "ivf_rabitq"]
Positions = npt.NDArray[np.int64]
ListNumbers = npt.NDArray[np.int32]

#: Numbers (rows times dim) that are compared one by one.
EXACT_VALUES = 20_000 * 512
#: Below this dimension one bit a dimension loses the order, and full vectors are small anyway.
RABITQ_MIN_DIM = 128
#: Centroids are found in this many leading principal directions: a quarter of the work at 512, the same lists.
_COARSE_DIM = 128
_TRAIN_PER_LIST = 32
_TRAIN_ROUNDS = 8
#: Lists of so many times the mean size are split.
_LARGE = 4
_ADD_ROWS = 65_536
INDEX_FILE, LIST_OF_FILE, RADII_FILE, BASIS_FILE = "index.faiss", "list_of.npy", "radii.npy", "basis.npy"


def is_small(n_rows: int, dim: int) -> bool:
    """Whether so many vectors are compared one by one, with no index to propose candidates."""
    return n_rows * dim <= EXACT_VALUES


def kind_for(n_rows: int, dim: int) -> Kind:
    """Kind of index for a number of vectors and their dimension."""
    if is_small(n_rows, dim):
        return "flat"
    return "ivf_rabitq" if dim >= RABITQ_MIN_DIM else "ivf_flat"


def files_of(kind: Kind) -> tuple[str, ...]:
    """Names of the files an index of that kind is saved in."""
    return () if kind == "flat" else (INDEX_FILE, LIST_OF_FILE, RADII_FILE, BASIS_FILE)


@dataclass(frozen=True, slots=True)
class Lists:
    """The inverted lists of an index.

    Attributes
    ----------
    centroids : float32 (n_lists, dim)
        Centre of each list; not unit vectors.
    list_of : int32 (n_rows,)
        List of each row.
    radii : float32 (n_lists,)
        Root mean squared distance of the rows of a list from its centroid.
    max_radii : float32 (n_lists,)
        Largest such distance.
    sizes : int64 (n_lists,)
        Rows of each list.
    basis : float32 (m, dim), optional
        Orthonormal directions in which all centroids lie.
    """

    centroids: Vectors
    list_of: ListNumbers
    radii: Floats
    max_radii: Floats
    sizes: npt.NDArray[np.int64]
    basis: Vectors | None = None
    _reduced: Vectors | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        if self.basis is not None:
            object.__setattr__(self, "_reduced", np.ascontiguousarray(self.centroids @ self.basis.T))

    def dots(self, query: Vectors) -> Floats:
        """Inner product of a query `(dim,)` with each centroid, float32 `(n_lists,)`."""
        if self.basis is None or self._reduced is None:
            return dots(self.centroids, query)
        return dots(self._reduced, dots(self.basis, query))

    def dots_of_all(self, queries: Vectors) -> Floats:
        """The same for many queries `(q, dim)` by matrix products, float32 `(q, n_lists)`."""
        if self.basis is None or self._reduced is None:
            return np.asarray(queries @ self.centroids.T, dtype=np.float32)
        return np.asarray((queries @ self.basis.T) @ self._reduced.T, dtype=np.float32)


class AnnIndex:
    """Lists over the rows of a float32 matrix of unit vectors; positions are row numbers of that matrix."""

    def __init__(self, kind: Kind, shape: tuple[int, int], index: Any = None, lists: Lists | None = None) -> None:
        self.kind = kind
        self.n_rows, self.dim = shape
        self._index = index
        self._lists = lists
        self._owned: tuple[Any, ...] = ()

    @classmethod
    def build(cls, vectors: Vectors) -> "AnnIndex":
        """Train and fill an index over `vectors` float32 (n, dim), on all cores; the same each time."""
        n, dim = vectors.shape
        kind = kind_for(n, dim)
        if kind == "flat":
            return cls(kind, (n, dim))
        faiss = _faiss()
        with faiss_threads(n_cores()):
            reduced, basis = _train(vectors, int(2 ** np.round(np.log2(2 * np.sqrt(n)))))
            centroids = np.ascontiguousarray(reduced @ basis)
            list_of = _assign(vectors, reduced, basis)
            quantizer = faiss.IndexFlatIP(dim)
            quantizer.add(centroids)
            coder = faiss.IndexIVFFlat if kind == "ivf_flat" else faiss.IndexIVFRaBitQ
            index = coder(quantizer, dim, len(centroids), faiss.METRIC_INNER_PRODUCT)
            index.train(centroids)  # nothing is left to learn but this sets it ready
            squares = np.empty(n, dtype=np.float32)
            norms = np.einsum("ij,ij->i", centroids, centroids)
            for start in range(0, n, _ADD_ROWS):
                part = np.ascontiguousarray(vectors[start : start + _ADD_ROWS])
                its = list_of[start : start + len(part)].astype(np.int64)
                index.add_core(len(part), faiss.swig_ptr(part), None, faiss.swig_ptr(its))
                dots = _pair_dots(part, centroids, its)
                squares[start : start + len(part)] = np.einsum("ij,ij->i", part, part) + norms[its] - 2 * dots
            packed = index if kind == "ivf_flat" else faiss.IndexIVFRaBitQFastScan(index)
        built = cls(kind, (n, dim), packed, _lists(centroids, list_of, squares, basis))
        built._owned = (quantizer, index)  # FAISS's own objects do not keep each other alive
        return built

    @classmethod
    def load(cls, folder: Path, kind: Kind, shape: tuple[int, int]) -> "AnnIndex":
        """Open the files of an index; raises `RuntimeError`, `OSError` or `ValueError` if they are damaged."""
        if kind == "flat":
            return cls(kind, shape)
        faiss = _faiss()
        index = faiss.read_index(str(folder / INDEX_FILE), faiss.IO_FLAG_MMAP_IFC)
        found = (int(index.ntotal), int(index.d))
        list_of = np.asarray(
            np.load(folder / LIST_OF_FILE, mmap_mode="r")
        )  # a plain array over the map is read quicker
        radii, max_radii, sizes = np.load(folder / RADII_FILE)
        quantizer = faiss.downcast_index(index.quantizer)
        if found != shape or list_of.shape != (shape[0],) or quantizer.ntotal != len(radii):
            raise ValueError(f"it holds {found[0]:,} rows of {found[1]} dims, expected {shape[0]:,} of {shape[1]}")
        centroids = faiss.rev_swig_ptr(quantizer.get_xb(), quantizer.ntotal * shape[1]).reshape(-1, shape[1])
        # Sidecars written before there was such a file do without.
        basis = np.load(folder / BASIS_FILE) if (folder / BASIS_FILE).exists() else None
        return cls(kind, shape, index, Lists(centroids, list_of, radii, max_radii, sizes.astype(np.int64), basis))

    def save(self, folder: Path) -> None:
        """Write the files of the index into a folder."""
        if self._lists is None:
            return
        _faiss().write_index(self._index, str(folder / INDEX_FILE))
        np.save(folder / LIST_OF_FILE, self._lists.list_of)
        sizes = self._lists.sizes.astype(np.float32)
        np.save(folder / RADII_FILE, np.stack([self._lists.radii, self._lists.max_radii, sizes]))
        if self._lists.basis is not None:
            np.save(folder / BASIS_FILE, self._lists.basis)

    def numbers_of_codes(self) -> Iterator[Floats]:
        """The two numbers FAISS keeps with each RaBitQ code, list by list, float32 `(size, 2)`."""
        faiss = _faiss()
        kept = faiss.downcast_InvertedLists(self._index.invlists)
        for number, size in enumerate(self.lists.sizes.tolist()):
            n_blocks = -(-size // kept.n_per_block)
            blocks = faiss.rev_swig_ptr(kept.get_codes(number), n_blocks * kept.block_size) if size else b""
            of_codes = np.frombuffer(blocks, dtype=np.uint8).reshape(n_blocks, -1)[
                :, kept.n_per_block * self.dim // 8 :
            ]
            yield np.ascontiguousarray(of_codes).view(np.float32).reshape(-1, 2)[:size]

    @property
    def lists(self) -> Lists:
        """The inverted lists; only kinds other than `flat` have some."""
        if self._lists is None:
            raise ValueError("a flat index has no lists")
        return self._lists

    def scan(
        self, queries: Vectors, lists: Positions, coarse: Floats, depth: int, selection: Selection
    ) -> tuple[Floats, Positions]:
        """Estimate the cosine of the rows of some lists and give the highest estimates.

        Parameters
        ----------
        queries : float32 (q, dim)
            Unit vectors.
        lists : int64 (q, p)
            Lists to scan for each; -1 for none.
        coarse : float32 (q, p)
            Inner product of each query with the centroids of those lists.
        depth : int
            Estimates wanted for each query.
        selection : Selection
            Rows that may answer.

        Returns
        -------
        float32 (q, depth), int64 (q, depth)
            Estimates, descending, and positions, -1 where there are fewer.
        """
        faiss = _faiss()
        lists = np.ascontiguousarray(lists, dtype=np.int64)
        estimates = np.empty((len(queries), depth), dtype=np.float32)
        positions = np.empty((len(queries), depth), dtype=np.int64)
        pointer = faiss.swig_ptr
        with faiss_threads(threads_for(len(queries))):
            # The Python wrapper of this method takes no parameters, hence no selector.
            self._index.search_preassigned_c(
                len(queries),
                pointer(queries),
                depth,
                pointer(lists),
                pointer(coarse),
                pointer(estimates),
                pointer(positions),
                False,  # noqa: FBT003  # store_pairs, a C++ argument
                selection.parameters(lists.shape[1]),
                None,
            )
        return estimates, positions


def faiss_version() -> str:
    """Version of the FAISS that writes indexes here."""
    return str(_faiss().__version__)


class Unmapped(Protocol):
    """Vectors that lie elsewhere than in memory, in place of a matrix; see `indexer.store.table_vectors`."""

    def dots(self, query: Vectors, places: Positions | None = None) -> Floats:
        """Inner product of a query `(dim,)` with all rows, or those at some places."""


def dots_at(vectors: Vectors | Unmapped, query: Vectors, positions: Positions) -> Floats:
    """Inner product of one query `(dim,)` with the rows of a matrix at some positions, read in place."""
    if not isinstance(vectors, np.ndarray):
        return vectors.dots(query, positions)
    faiss = _faiss()
    found = np.empty(len(positions), dtype=np.float32)
    if len(positions):
        pointer = faiss.swig_ptr
        with faiss_threads(1):
            faiss.fvec_inner_products_by_idx(
                pointer(found), pointer(query), pointer(vectors), pointer(positions), len(query), 1, len(positions)
            )
    return found


def dots(vectors: Vectors | Unmapped, query: Vectors) -> Floats:
    """Inner product of one query `(dim,)` with every row, on one core: NumPy's product would start a thread on each."""
    if not isinstance(vectors, np.ndarray):
        return vectors.dots(query)
    faiss = _faiss()
    found = np.empty(len(vectors), dtype=np.float32)
    pointer = faiss.swig_ptr
    faiss.fvec_inner_products_ny(pointer(found), pointer(query), pointer(vectors), len(query), len(vectors))
    return found


def pair_dots(queries: Vectors, vectors: Vectors | Unmapped, positions: Positions, n_threads: int) -> Floats:
    """Inner product of each query with rows of its own, float32 like `positions` `(q, m)`; -inf where one is -1."""
    if not isinstance(vectors, np.ndarray):
        return np.stack([_some_dots(vectors, query, its) for query, its in zip(queries, positions, strict=True)])
    faiss = _faiss()
    its = np.ascontiguousarray(positions)
    found = np.empty(its.shape, dtype=np.float32)
    pointer = faiss.swig_ptr
    if its.size:
        with faiss_threads(n_threads):
            faiss.fvec_inner_products_by_idx(
                pointer(found), pointer(queries), pointer(vectors), pointer(its), queries.shape[1], *its.shape
            )
    found[its < 0] = -np.inf
    return found


def _some_dots(vectors: Unmapped, query: Vectors, positions: Positions) -> Floats:
    found = np.full(len(positions), -np.inf, dtype=np.float32)
    order = np.argsort(positions)
    there = order[positions[order] >= 0]
    found[there] = vectors.dots(query, positions[there])
    return found


def _train(vectors: Vectors, n_lists: int) -> tuple[Vectors, Vectors]:
    """About `n_lists` centroids in the leading principal directions `(l, m)`, and those directions `(m, dim)`."""
    faiss = _faiss()
    n, dim = vectors.shape
    sample = np.ascontiguousarray(vectors[np.linspace(0, n - 1, min(n, n_lists * _TRAIN_PER_LIST)).astype(np.int64)])
    width = min(dim, _COARSE_DIM)
    _, directions = np.linalg.eigh((sample.T @ sample).astype(np.float64))
    basis = np.ascontiguousarray(directions[:, ::-1][:, :width].T.astype(np.float32))
    training = faiss.Clustering(width, n_lists)
    training.niter = _TRAIN_ROUNDS
    # Begun with rows that are far apart, or a small cluster has no list of its own and its rows lie in many.
    training.init_method = faiss.ClusteringInitMethod_AFK_MC2
    training.min_points_per_centroid, training.max_points_per_centroid = 1, 2 * _TRAIN_PER_LIST
    reduced = np.ascontiguousarray(sample @ basis.T)
    training.train(reduced, faiss.IndexFlatL2(width))
    centroids = faiss.vector_to_array(training.centroids).reshape(n_lists, width).copy()
    return _with_large_ones_split(centroids, reduced), basis


def _with_large_ones_split(centroids: Vectors, sample: Vectors) -> Vectors:
    """Centroids with more in place of those that are nearest to far more rows than others are.

    Rows of many small clusters, none of which has a centroid of its own, lie together around the one in their middle.
    """
    faiss = _faiss()
    width = centroids.shape[1]
    nearest = faiss.IndexFlatL2(width)
    nearest.add(centroids)
    list_of = nearest.search(sample, 1)[1][:, 0]
    counts = np.bincount(list_of, minlength=len(centroids))
    mean = len(sample) / len(centroids)
    large = np.flatnonzero(counts > max(_LARGE * mean, _LARGE))
    parts = [centroids[np.setdiff1d(np.arange(len(centroids)), large)]]
    for one in large:
        n_parts = int(np.ceil(counts[one] / (_LARGE / 2 * mean)))
        splitting = faiss.Kmeans(width, n_parts, niter=_TRAIN_ROUNDS, min_points_per_centroid=1)
        splitting.train(np.ascontiguousarray(sample[list_of == one]))
        parts.append(splitting.centroids)
    return np.ascontiguousarray(np.concatenate(parts))


def _assign(vectors: Vectors, reduced: Vectors, basis: Vectors) -> ListNumbers:
    faiss = _faiss()
    nearest = faiss.IndexFlatL2(reduced.shape[1])
    nearest.add(reduced)
    list_of = np.empty(len(vectors), dtype=np.int32)
    for start in range(0, len(vectors), _ADD_ROWS):
        part = vectors[start : start + _ADD_ROWS]
        list_of[start : start + len(part)] = nearest.search(np.ascontiguousarray(part @ basis.T), 1)[1][:, 0]
    return list_of


def _pair_dots(vectors: Vectors, centroids: Vectors, its: Positions) -> Floats:
    faiss = _faiss()
    found = np.empty(len(vectors), dtype=np.float32)
    pointer = faiss.swig_ptr
    faiss.fvec_inner_products_by_idx(
        pointer(found), pointer(vectors), pointer(centroids), pointer(its), vectors.shape[1], len(vectors), 1
    )
    return found


def _lists(centroids: Vectors, list_of: ListNumbers, squares: Floats, basis: Vectors) -> Lists:
    n_lists = len(centroids)
    sizes = np.bincount(list_of, minlength=n_lists)
    sums = np.bincount(list_of, weights=np.maximum(squares, 0), minlength=n_lists)
    largest = np.zeros(n_lists, dtype=np.float32)
    np.maximum.at(largest, list_of, np.maximum(squares, 0))
    mean = np.sqrt(sums / np.maximum(sizes, 1)).astype(np.float32)
    return Lists(centroids, list_of, mean, np.sqrt(largest), sizes, basis)


def _faiss() -> Any:
    # Any, because FAISS's stubs describe the C++ constructors, not the Python ones that replace them.
    import faiss

    return faiss
