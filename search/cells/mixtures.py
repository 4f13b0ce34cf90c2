"""Spots made of real cells, so that the truth of a decomposition is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from search.errors import CellReferenceError
from search.profiles import Doubles


@dataclass(frozen=True, slots=True)
class MixtureRecipe:
    """How spots are mixed.

    Attributes
    ----------
    n_cells : (int, int)
        Fewest and most cells of a spot, drawn evenly.
    concentration : float
        Of the symmetric Dirichlet distribution of a spot's proportions; below 1, few types make up a spot.
    depth, depth_sigma : float
        Median counts of a spot, and the standard deviation of their natural logarithm.
    """

    n_cells: tuple[int, int] = (5, 20)
    concentration: float = 0.5
    depth: float = 3_000.0
    depth_sigma: float = 0.5

    def __post_init__(self) -> None:
        fewest, most = self.n_cells
        if not 1 <= fewest <= most or min(self.concentration, self.depth) <= 0 or self.depth_sigma < 0:
            raise CellReferenceError(
                f"Cannot mix spots by {self}; expected 1 <= fewest <= most cells and sizes above 0."
            )


@dataclass(frozen=True, slots=True)
class MixedSpots:
    """Spots of known composition.

    Attributes
    ----------
    counts : csr_matrix (n, n_genes)
        Raw counts.
    types : tuple of str
        Cell types, sorted.
    cells : float64 (n, n_types)
        Share of each type among the cells of a spot.
    rna : float64 (n, n_types)
        Share of each type among the counts of these cells.
    """

    counts: sp.csr_matrix
    types: tuple[str, ...]
    cells: Doubles
    rna: Doubles


def mix_spots(
    counts: sp.csr_matrix, labels: Sequence[str], n: int, *, recipe: MixtureRecipe | None = None, seed: int = 0
) -> MixedSpots:
    """Draw cells for each spot, add up their counts, and draw as many of them as the spot is deep.

    Proportions come from a Dirichlet distribution, numbers of cells from a multinomial one, cells of a type with
    replacement. A spot never has more counts than its cells.

    Parameters
    ----------
    counts : csr_matrix (n_cells, n_genes)
        Raw counts of labelled cells.
    labels : sequence of str
        Type of each cell.
    n : int
        Number of spots.
    recipe : MixtureRecipe, optional
        How they are mixed.
    seed : int
        Of the random numbers; the same seed gives the same spots.

    Raises
    ------
    CellReferenceError
        If labels and cells do not match, there are fewer than two types, or a cell has no counts.
    """
    names, recipe = np.asarray(labels, dtype=str), recipe or MixtureRecipe()
    types, codes = np.unique(names, return_inverse=True)
    if len(names) != counts.shape[0] or len(types) < 2:
        raise CellReferenceError(
            f"Got {len(names)} labels of {len(types)} type(s) for {counts.shape[0]} cells; expected one label per cell "
            "and at least two types."
        )
    sizes = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    if not sizes.all():
        raise CellReferenceError(f"{int((sizes == 0).sum())} cells have no counts; leave them out.")
    rng = np.random.default_rng(seed)
    of_type = [np.flatnonzero(codes == code) for code in range(len(types))]
    chosen = [_cells_of_a_spot(of_type, recipe, rng) for _ in range(n)]
    spot = np.repeat(np.arange(n), [len(cells) for cells in chosen])
    member = sp.csr_matrix((np.ones(len(spot)), (spot, np.concatenate(chosen))), shape=(n, len(names)))
    type_of = sp.csr_matrix((np.ones(len(codes)), (np.arange(len(codes)), codes)))
    return MixedSpots(
        counts=_thinned(sp.csr_matrix(member @ counts), recipe, rng),
        types=tuple(types.tolist()),
        cells=_rows_to_1(member @ type_of),
        rna=_rows_to_1(member @ sp.diags(sizes) @ type_of),
    )


def _cells_of_a_spot(
    of_type: Sequence[npt.NDArray[np.intp]], recipe: MixtureRecipe, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    shares = rng.dirichlet(np.full(len(of_type), recipe.concentration))
    numbers = rng.multinomial(rng.integers(*recipe.n_cells, endpoint=True), shares)
    return np.concatenate([rng.choice(cells, size) for cells, size in zip(of_type, numbers, strict=True)])


def _thinned(summed: sp.csr_matrix, recipe: MixtureRecipe, rng: np.random.Generator) -> sp.csr_matrix:
    totals = np.asarray(summed.sum(axis=1)).ravel()
    depth = np.minimum(rng.lognormal(np.log(recipe.depth), recipe.depth_sigma, len(totals)), totals)
    kept = summed.copy()
    share = np.repeat(depth / totals, np.diff(summed.indptr))
    kept.data = rng.binomial(np.rint(summed.data).astype(np.int64), share).astype(np.float64)
    kept.eliminate_zeros()
    return kept


def _rows_to_1(amounts: sp.spmatrix) -> Doubles:
    dense = np.asarray(amounts.todense(), dtype=np.float64)
    return np.asarray(dense / dense.sum(axis=1, keepdims=True))
