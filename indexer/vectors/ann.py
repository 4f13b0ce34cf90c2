"""Inverted lists over the vectors of one modality: which kind at which size, coding and scanning them.

Up to `EXACT_VALUES` numbers (20,000 rows of 512) there are none: a scan takes a millisecond or two. Above that the
vectors lie in lists around k-means centroids, as 1-bit RaBitQ codes (Gao & Long, SIGMOD 2024) where the dimension is
high enough for them to order candidates, else whole. A scan gives estimates; `indexer.vectors.probing` decides which
lists are scanned and how many candidates are compared again on full-precision vectors.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from encoders.contracts import Floats, Vectors
from indexer.vectors.coding import code_index, whole_index
from indexer.vectors.inner_products import Positions, faiss_library
from indexer.vectors.lists import Lists, assign_rows, lists_of, n_lists_for, train_lists
from indexer.vectors.mapped_codes import CODES_FILE, block_bytes, can_map, map_codes, write_codes
from indexer.vectors.rounded import import_ahead
from indexer.vectors.selection import Selection
from indexer.vectors.threads import faiss_threads, n_cores, threads_for

Kind = Literal["flat", "ivf_flat", "ivf_rabitq"]

#: Numbers (rows times dim) that are compared one by one.
EXACT_VALUES = 20_000 * 512
#: Below this dimension one bit a dimension loses the order, and full vectors are small anyway.
RABITQ_MIN_DIM = 128
INDEX_FILE, LIST_OF_FILE, RADII_FILE = "index.faiss", "list_of.npy", "radii.npy"
BASIS_FILE, REDUCED_FILE = "basis.npy", "reduced.npy"


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
    codes = (CODES_FILE,) if kind == "ivf_rabitq" else ()
    return () if kind == "flat" else (INDEX_FILE, *codes, LIST_OF_FILE, RADII_FILE, BASIS_FILE, REDUCED_FILE)


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
        n_lists = n_lists_for(n)
        import_ahead(n * n_lists)
        with faiss_threads(n_cores()):
            reduced, basis = train_lists(vectors, n_lists)
            centroids = np.ascontiguousarray(reduced @ basis)
            list_of = assign_rows(vectors, reduced, basis)
            coded = whole_index if kind == "ivf_flat" else code_index
            index, squares, owned = coded(vectors, centroids, list_of)
        built = cls(kind, (n, dim), index, lists_of(reduced, basis, centroids, list_of, squares))
        built._owned = owned  # FAISS's own objects do not keep each other alive
        return built

    @classmethod
    def load(cls, folder: Path, kind: Kind, shape: tuple[int, int]) -> "AnnIndex":
        """Open the files of an index; raises `RuntimeError`, `OSError` or `ValueError` if they are damaged."""
        if kind == "flat":
            return cls(kind, shape)
        faiss = faiss_library()
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
        lists = Lists(centroids, list_of, radii, max_radii, sizes.astype(np.int64), *_reduction(folder, centroids))
        loaded = cls(kind, shape, index, lists)
        if (folder / CODES_FILE).exists():
            loaded._owned = (map_codes(index, folder / CODES_FILE, lists.sizes),)
        return loaded

    def save(self, folder: Path) -> None:
        """Write the files of the index into a folder."""
        if self._lists is None:
            return
        if can_map(self._index):
            write_codes(self._index, folder / INDEX_FILE, folder / CODES_FILE)
        else:
            faiss_library().write_index(self._index, str(folder / INDEX_FILE))
        np.save(folder / LIST_OF_FILE, self._lists.list_of)
        sizes = self._lists.sizes.astype(np.float32)
        np.save(folder / RADII_FILE, np.stack([self._lists.radii, self._lists.max_radii, sizes]))
        for name, matrix in ((BASIS_FILE, self._lists.basis), (REDUCED_FILE, self._lists.reduced)):
            if matrix is not None:
                np.save(folder / name, matrix)

    def numbers_of_codes(self) -> Iterator[Floats]:
        """The two numbers FAISS keeps with each RaBitQ code, list by list, float32 `(size, 2)`."""
        faiss = faiss_library()
        kept, n_per_block = faiss.downcast_InvertedLists(self._index.invlists), self._index.bbs
        for number, size in enumerate(self.lists.sizes.tolist()):
            n_blocks = -(-size // n_per_block)
            blocks = faiss.rev_swig_ptr(kept.get_codes(number), n_blocks * block_bytes(self._index)) if size else b""
            of_codes = np.frombuffer(blocks, dtype=np.uint8).reshape(n_blocks, -1)[:, n_per_block * self.dim // 8 :]
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
        faiss = faiss_library()
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


def _reduction(folder: Path, centroids: Vectors) -> tuple[Vectors | None, Vectors | None]:
    """Directions in which the centroids lie, and the centroids in them; sidecars of earlier versions lack files."""
    if not (folder / BASIS_FILE).exists():
        return None, None
    basis = np.load(folder / BASIS_FILE)
    if not (folder / REDUCED_FILE).exists():
        return basis, np.ascontiguousarray(centroids @ basis.T)
    # Kept, since a product of NumPy's takes 8 ms of an opening: it starts a thread on each core.
    reduced = np.load(folder / REDUCED_FILE)
    if reduced.shape != (len(centroids), len(basis)):
        raise ValueError(f"{REDUCED_FILE} has shape {reduced.shape}, expected {(len(centroids), len(basis))}")
    return basis, reduced


def faiss_version() -> str:
    """Version of the FAISS that writes indexes here."""
    return str(faiss_library().__version__)
