"""The inverted lists that vectors lie in: where their centroids are, and which list each row belongs to.

Centroids are found by k-means on a sample of the rows, in their leading principal directions.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors
from indexer.vectors.inner_products import dots, faiss_library
from indexer.vectors.rounded import rounding, writable
from indexer.vectors.threads import faiss_threads, n_cores

ListNumbers = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]
_Finder = Callable[[Vectors], Rows]

#: Centroids are found in this many leading principal directions: a quarter of the work at 512, the same lists.
_COARSE_DIM = 128
_TRAIN_PER_LIST = 32
_TRAIN_ROUNDS = 8
#: Lists of so many times the mean size are split.
_LARGE = 4
_SEED = 1_234
_DIRECTIONS_ROWS = 16_384  # tell the principal directions
_ROWS_AT_ONCE, _FOUND_AT_ONCE = 65_536, 1_024
_PADDING = 32  # dimensions that products of bfloat16 go by


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
    reduced : float32 (n_lists, m), optional
        The centroids in those directions.
    """

    centroids: Vectors
    list_of: ListNumbers
    radii: Floats
    max_radii: Floats
    sizes: npt.NDArray[np.int64]
    basis: Vectors | None = None
    reduced: Vectors | None = None

    def dots(self, query: Vectors) -> Floats:
        """Inner product of a query `(dim,)` with each centroid, float32 `(n_lists,)`."""
        if self.basis is None or self.reduced is None:
            return dots(self.centroids, query)
        return dots(self.reduced, dots(self.basis, query))

    def dots_of_all(self, queries: Vectors, squared_norms: Floats) -> Floats:
        """The same for many unit queries `(q, dim)`, float32 `(q, n_lists)`; `squared_norms` are the centroids'.

        On one core, by FAISS: after a product of NumPy's the threads of its OpenBLAS spin for as long as a batch takes.
        """
        if self.basis is None or self.reduced is None:
            return _products(queries, self.centroids, np.ones(len(queries), np.float32), squared_norms)
        whole = np.ones(len(queries), np.float32)
        reduced = _products(queries, self.basis, whole, np.ones(len(self.basis), np.float32))
        return _products(reduced, self.reduced, np.einsum("ij,ij->i", reduced, reduced), squared_norms)


def _products(rows: Vectors, others: Vectors, squares: Floats, of_others: Floats) -> Floats:
    """Inner products of some rows with others, all of whose squared norms are known, on one core."""
    faiss = faiss_library()
    with faiss_threads(1):
        found = faiss.pairwise_distances(np.ascontiguousarray(rows), others)
    np.subtract(squares[:, None] + of_others, found, out=found)
    found *= np.float32(0.5)
    return np.asarray(found)


def n_lists_for(n_rows: int) -> int:
    """How many lists so many rows lie in."""
    return int(2 ** np.round(np.log2(2 * np.sqrt(max(1, n_rows)))))


def train_lists(vectors: Vectors, n_lists: int) -> tuple[Vectors, Vectors]:
    """About `n_lists` centroids in the leading principal directions `(l, m)`, and those directions `(m, dim)`."""
    faiss = faiss_library()
    n, dim = vectors.shape
    sample = np.ascontiguousarray(vectors[np.linspace(0, n - 1, min(n, n_lists * _TRAIN_PER_LIST)).astype(np.int64)])
    width = min(dim, _COARSE_DIM)
    some = sample[:: max(1, len(sample) // _DIRECTIONS_ROWS)]
    _, directions = np.linalg.eigh((some.T @ some).astype(np.float64))
    basis = np.ascontiguousarray(directions[:, ::-1][:, :width].T.astype(np.float32))
    reduced = np.ascontiguousarray(sample @ basis.T)
    training = faiss.Clustering(width, n_lists)
    training.niter = _TRAIN_ROUNDS
    training.min_points_per_centroid, training.max_points_per_centroid = 1, 2 * _TRAIN_PER_LIST
    faiss.copy_array_to_vector(_far_apart(reduced, n_lists).ravel(), training.centroids)
    training.train(reduced, faiss.IndexFlatL2(width))
    centroids = faiss.vector_to_array(training.centroids).reshape(n_lists, width).copy()
    return _with_large_ones_split(centroids, reduced), basis


def _far_apart(sample: Vectors, n: int) -> Vectors:
    """Rows `(n, m)` that are far apart: or a small cluster has no list of its own and its rows lie in many.

    Drawn by their squared distance from those there are, as of k-means++, but some at a time (Bahmani et al., Scalable
    k-means++, VLDB 2012), a third of those there are.
    """
    random = np.random.default_rng(_SEED)
    chosen = [int(random.integers(len(sample)))]
    own = np.einsum("ij,ij->i", sample, sample)
    nearest = np.full(len(sample), np.inf, dtype=np.float32)
    new = chosen
    while len(chosen) < n:
        for start in range(0, len(sample), _ROWS_AT_ONCE // 16):
            part = slice(start, start + _ROWS_AT_ONCE // 16)
            far = (own[new] - 2 * (sample[part] @ sample[new].T)).min(axis=1) + own[part]
            np.minimum(nearest[part], far, out=nearest[part])
        nearest[new] = 0
        weights = np.maximum(nearest, 0, dtype=np.float64)
        n_left = int(np.count_nonzero(weights))
        if not n_left:  # all rows are like one that was chosen
            chosen += random.choice(len(sample), n - len(chosen)).tolist()
            break
        n_new = min(1 + len(chosen) // 3, n - len(chosen), n_left)
        new = random.choice(len(sample), n_new, replace=False, p=weights / weights.sum()).tolist()
        chosen += new
    return sample[chosen]


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
    """The list of each row: the one whose centroid `(l, m)` is nearest in the directions of `basis` `(m, dim)`.

    Where products are rounded, a row that lies between two lists may be put into the one that is further by a hundredth
    of the distance.
    """
    list_of = np.empty(len(vectors), dtype=np.int32)
    with rounding(len(vectors) * len(reduced)) as torch:
        n_threads = 1 if torch is None else n_cores()  # NumPy's products take every core

        def assign(stretch: Rows) -> None:
            find = _finder(reduced, basis) if torch is None else _rounded_finder(reduced, basis, torch)
            for start in range(stretch[0], stretch[-1] + 1, _FOUND_AT_ONCE):
                part = slice(start, min(start + _FOUND_AT_ONCE, int(stretch[-1]) + 1))
                list_of[part] = find(vectors[part])

        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(assign, np.array_split(np.arange(len(vectors)), n_threads)))
    find, open_rows = _finder(reduced, basis), np.flatnonzero(list_of < 0)
    for start in range(0, len(open_rows), _FOUND_AT_ONCE):
        its = open_rows[start : start + _FOUND_AT_ONCE]
        list_of[its] = find(vectors[its])
    return list_of


def _finder(reduced: Vectors, basis: Vectors) -> _Finder:
    """What finds the nearest centroid of each of up to `_FOUND_AT_ONCE` rows: the highest `<x, c> - |c|^2 / 2`."""
    columns, halves = np.ascontiguousarray(reduced.T), np.einsum("ij,ij->i", reduced, reduced) / 2
    scores = np.empty((_FOUND_AT_ONCE, len(reduced)), dtype=np.float32)

    def find(rows: Vectors) -> Rows:
        found = np.matmul(rows @ basis.T, columns, out=scores[: len(rows)])
        found -= halves
        return np.asarray(found.argmax(axis=1))

    return find


def _rounded_finder(reduced: Vectors, basis: Vectors, torch: Any) -> _Finder:
    """The same by rounded products; -1 where they do not tell."""
    torch.set_num_threads(1)  # of this thread: others have rows of their own
    width, halves = len(basis), torch.from_numpy(np.einsum("ij,ij->i", reduced, reduced) / -2)
    # Half the squared norm is two more dimensions, what rounding takes from the first being the second.
    columns = torch.zeros((width + _PADDING, len(reduced)), dtype=torch.bfloat16)
    columns[:width], columns[width] = torch.from_numpy(reduced).T, halves
    columns[width + 1] = halves - columns[width].float()
    directions = torch.from_numpy(basis).bfloat16().T.contiguous()
    rounded = torch.empty((_FOUND_AT_ONCE, basis.shape[1]), dtype=torch.bfloat16)
    places = torch.zeros((_FOUND_AT_ONCE, width + _PADDING), dtype=torch.bfloat16)
    places[:, width : width + 2] = 1
    scores = torch.empty((_FOUND_AT_ONCE, len(reduced)), dtype=torch.bfloat16)

    def find(rows: Vectors) -> Rows:
        n = len(rows)
        its = rounded[:n].copy_(torch.from_numpy(writable(rows)))
        places[:n, :width] = torch.mm(its, directions)
        bits = torch.mm(places[:n], columns, out=scores[:n]).view(torch.int16).numpy()
        found: Rows = bits.argmax(axis=1)  # the bits of positive numbers are in their order, of negative ones not
        return np.where(bits[np.arange(n), found] > 0, found, -1)

    return find


def lists_of(reduced: Vectors, basis: Vectors, centroids: Vectors, list_of: ListNumbers, squares: Floats) -> Lists:
    """Lists with their sizes and radii; `squares` are the squared distances of the rows from their centroids."""
    n_lists = len(centroids)
    sizes = np.bincount(list_of, minlength=n_lists)
    sums = np.bincount(list_of, weights=np.maximum(squares, 0), minlength=n_lists)
    largest = np.zeros(n_lists, dtype=np.float32)
    np.maximum.at(largest, list_of, np.maximum(squares, 0))
    mean = np.sqrt(sums / np.maximum(sizes, 1)).astype(np.float32)
    return Lists(centroids, list_of, mean, np.sqrt(largest), sizes, basis, reduced)
