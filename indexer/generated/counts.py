"""Counts of a generated section's spots, drawn from the cells that lie in them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from indexer.generated.marker_genes import BACKGROUND, MARKERS
from indexer.generated.tissue import CELL_TYPES, GLASS, MPP, REGIONS, Floats, Patient, TissuePlan

SPOT_UM = 100.0
PITCH_UM = 200.0

GENES: tuple[str, ...] = tuple(sorted({*BACKGROUND, *(gene for markers in MARKERS.values() for gene in markers)}))

_PROFILE_SEED = 20_210_101  # the same cell types in every section, whatever its seed
_COUNTS_A_CELL = 260.0
#: How much RNA a cell has, in the order of `CELL_TYPES`; cancer cells are large, lymphocytes small.
_CELL_SIZE = np.array([1.6, 1.1, 0.9, 0.7, 0.5, 0.5, 1.0, 0.9])
_LEAK = 0.04  # share of a spot's RNA that comes from the whole section
_CAPTURE_SHAPE = 8.0  # of the gamma that says how much of its RNA a spot keeps


@dataclass(frozen=True, slots=True)
class GeneratedSpots:
    """Spots of a generated section with what is known of them.

    Attributes
    ----------
    names : tuple of str
        `<column>x<row>` of the spot grid.
    xy_px : float64 (n, 2)
        Centres, level-0 pixels.
    counts : csr_matrix float32 (n, len(GENES))
        Counts in the order of `GENES`.
    proportions : float64 (n, len(CELL_TYPES))
        Share of the cells of each spot by type, rows of sum 1: the truth of a decomposition.
    labels : tuple of str
        Region that holds most of the spot.
    """

    names: tuple[str, ...]
    xy_px: Floats
    counts: sp.csr_matrix
    proportions: Floats
    labels: tuple[str, ...]


def type_profiles() -> Floats:
    """Share of each gene in the RNA of each cell type, float64 `(len(CELL_TYPES), len(GENES))`, rows of sum 1."""
    rng = np.random.default_rng(_PROFILE_SEED)
    place = {gene: column for column, gene in enumerate(GENES)}
    common = np.zeros(len(GENES))
    common[[place[gene] for gene in BACKGROUND]] = rng.lognormal(0, 0.9, len(BACKGROUND))
    profiles = common * rng.lognormal(0, 0.25, (len(CELL_TYPES), len(GENES)))
    for row, name in enumerate(CELL_TYPES):
        for rank, gene in enumerate(MARKERS[name]):
            profiles[row, place[gene]] += 28.0 * np.exp(-rank / 9) * rng.lognormal(0, 0.2)
    shares: Floats = profiles / profiles.sum(axis=1, keepdims=True)
    return shares


def draw_spots(plan: TissuePlan, patient: Patient, rng: np.random.Generator) -> GeneratedSpots:
    """Spots on a 200 um grid wherever at least half of the spot is tissue and holds a cell."""
    names, centres = _spot_grid(plan.side_px)
    shares = _region_shares(plan, centres)
    of_spot, cells = _cells_in_spots(plan, centres)
    n_cells = np.zeros((len(centres), len(CELL_TYPES)))
    np.add.at(n_cells, (of_spot, plan.types[cells]), 1)
    kept = np.flatnonzero((shares[:, GLASS] <= 0.5) & (n_cells.sum(axis=1) > 0))
    n_cells, centres, shares = n_cells[kept], centres[kept], shares[kept]
    shares[:, GLASS] = 0
    return GeneratedSpots(
        names=tuple(names[spot] for spot in kept),
        xy_px=centres,
        counts=_draw_counts(n_cells, patient, rng),
        proportions=n_cells / np.maximum(n_cells.sum(axis=1, keepdims=True), 1),
        labels=tuple(REGIONS[region] for region in shares.argmax(axis=1)),
    )


def _draw_counts(n_cells: Floats, patient: Patient, rng: np.random.Generator) -> sp.csr_matrix:
    """Poisson counts of the summed cells, with a leak from the whole section and uneven capture."""
    profiles = type_profiles()
    factors = np.ones(len(GENES))
    for gene, factor in patient.markers:
        factors[GENES.index(gene)] = factor
    profiles[CELL_TYPES.index("Cancer Epithelial")] *= factors
    batch = rng.lognormal(0, 0.18, len(GENES))  # one section differs from the next
    rna = (n_cells * _CELL_SIZE * _COUNTS_A_CELL) @ (profiles * batch)
    rna = (1 - _LEAK) * rna + _LEAK * rna.mean(axis=0, keepdims=True)
    capture = rng.gamma(_CAPTURE_SHAPE, 1 / _CAPTURE_SHAPE, (len(rna), 1))
    return sp.csr_matrix(rng.poisson(rna * capture).astype(np.float32))


def _spot_grid(side_px: int) -> tuple[list[str], Floats]:
    pitch = PITCH_UM / MPP
    n = max(1, int((side_px - SPOT_UM / MPP) / pitch) + 1)
    first = (side_px - (n - 1) * pitch) / 2
    rows, columns = np.divmod(np.arange(n * n), n)
    centres = first + np.column_stack([columns, rows]) * pitch
    return [f"{column + 1}x{row + 1}" for row, column in zip(rows, columns, strict=True)], centres


def _region_shares(plan: TissuePlan, centres: Floats) -> Floats:
    """Share of each region in each spot's disc, `(n, len(REGIONS))`, on a grid of points 6 um apart."""
    radius = SPOT_UM / 2 / MPP
    steps = np.arange(-radius, radius + 1, 6 / MPP)
    disc = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    disc = disc[np.hypot(*disc.T) <= radius]
    regions = plan.region_at((centres[:, None] + disc).reshape(-1, 2)).reshape(len(centres), -1)
    return np.stack([(regions == region).mean(axis=1) for region in range(len(REGIONS))], axis=1)


def _cells_in_spots(plan: TissuePlan, centres: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs of spot and cell number, for cells whose centre lies in the spot's disc."""
    from scipy.spatial import cKDTree

    if not len(plan.cells_px):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    found = cKDTree(plan.cells_px).query_ball_point(centres, SPOT_UM / 2 / MPP)
    spots = np.repeat(np.arange(len(centres)), [len(cells) for cells in found])
    return spots, np.array([cell for cells in found for cell in sorted(cells)], dtype=np.int64)
