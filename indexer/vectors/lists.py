"""The inverted lists that vectors lie in: where their centroids are, and which list each row belongs to.

Centroids are found by k-means on a sample of the rows, in their leading principal directions.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors
from indexer.vectors.inner_products import dots, faiss_library

ListNumbers = npt.NDArray[np.int32]

#: Centroids are found in this many leading principal directions: a quarter of the work at 512, the same lists.
_COARSE_DIM = 128
_TRAIN_PER_LIST = 32
_TRAIN_ROUNDS = 8
#: Lists of so many times the mean size are split.
_LARGE = 4
_ROWS_AT_ONCE = 65_536


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


def train_lists(vectors: Vectors, n_lists: int) -> tuple[Vectors, Vectors]:
    """About `n_lists` centroids in the leading principal directions `(l, m)`, and those directions `(m, dim)`."""
    faiss = faiss_library()
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
    faiss = faiss_library()
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


def assign_rows(vectors: Vectors, reduced: Vectors, basis: Vectors) -> ListNumbers:
    """The list of each row: the one whose centroid `(l, m)` is nearest in the directions of `basis` `(m, dim)`."""
    faiss = faiss_library()
    nearest = faiss.IndexFlatL2(reduced.shape[1])
    nearest.add(reduced)
    list_of = np.empty(len(vectors), dtype=np.int32)
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        part = vectors[start : start + _ROWS_AT_ONCE]
        list_of[start : start + len(part)] = nearest.search(np.ascontiguousarray(part @ basis.T), 1)[1][:, 0]
    return list_of


def lists_of(centroids: Vectors, list_of: ListNumbers, squares: Floats, basis: Vectors) -> Lists:
    """Lists with their sizes and radii; `squares` are the squared distances of the rows from their centroids."""
    n_lists = len(centroids)
    sizes = np.bincount(list_of, minlength=n_lists)
    sums = np.bincount(list_of, weights=np.maximum(squares, 0), minlength=n_lists)
    largest = np.zeros(n_lists, dtype=np.float32)
    np.maximum.at(largest, list_of, np.maximum(squares, 0))
    mean = np.sqrt(sums / np.maximum(sizes, 1)).astype(np.float32)
    return Lists(centroids, list_of, mean, np.sqrt(largest), sizes, basis)
