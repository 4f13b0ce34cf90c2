"""The plan of a generated section: where tissue, regions and cells lie. Nothing here is measured on real tissue."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from indexer.generated.marker_genes import MARKERS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CELL_TYPES: tuple[str, ...] = tuple(MARKERS)
REGIONS = ("background", "connective tissue", "adipose tissue", "invasive cancer", "immune infiltrate", "breast glands")
GLASS, STROMA, FAT, CANCER, IMMUNE, GLAND = range(len(REGIONS))

MPP = 0.75  # micrometres per pixel of every generated section
FIELD_PX = 4  # regions are planned on a grid of this many pixels
_CELL_PITCH_UM = 7.5

#: Share of each cell type by region, in the order of `CELL_TYPES`.
_MIXTURES: dict[int, tuple[float, ...]] = {
    #        cancer normal CAFs  endoth T     B     myelo adipo
    STROMA: (0.00, 0.00, 0.68, 0.13, 0.08, 0.02, 0.09, 0.00),
    FAT: (0.00, 0.00, 0.10, 0.14, 0.00, 0.00, 0.06, 0.70),
    CANCER: (0.83, 0.00, 0.05, 0.02, 0.04, 0.00, 0.06, 0.00),
    IMMUNE: (0.03, 0.00, 0.04, 0.03, 0.50, 0.33, 0.07, 0.00),
}
#: Share of the places of the cell grid that are taken.
_DENSITY = {GLASS: 0.0, STROMA: 0.20, FAT: 0.016, CANCER: 0.55, IMMUNE: 0.93, GLAND: 0.0}


@dataclass(frozen=True, slots=True)
class Patient:
    """What one generated patient's sections share.

    Attributes
    ----------
    name : str
        Patient and slide prefix.
    cancer, immune, fat : float
        Share of the tissue that is nest, infiltrate and adipose.
    n_glands : int
        Normal glands on a section.
    haematoxylin, eosin : float
        Strength of the two stains, 1 for a usual one.
    hue : float
        Tint of the eosin, -1 (orange) to 1 (violet).
    markers : tuple of (str, float)
        Genes that this patient's cancer cells make more (> 1) or less (< 1) of.
    diagnosis : str
        For the slide's facts.
    """

    name: str
    cancer: float
    immune: float
    fat: float
    n_glands: int
    haematoxylin: float
    eosin: float
    hue: float
    markers: tuple[tuple[str, float], ...]
    diagnosis: str


@dataclass(frozen=True, slots=True)
class TissuePlan:
    """A generated section before it is drawn.

    Attributes
    ----------
    side_px : int
        Width and height.
    regions : int64 (h, w)
        Index into `REGIONS` for squares of `FIELD_PX` pixels.
    flow : float64 (h, w)
        Phase of the collagen fibres, which run along its lines of equal value.
    cells_px : float64 (n, 2)
        Centres `(x, y)` of the cells in level-0 pixels.
    types : int64 (n,)
        Index into `CELL_TYPES`.
    angles : float64 (n,)
        Direction of the long axis of each nucleus, radians.
    glands_px : float64 (m, 3)
        Centre and lumen radius of the glands, level-0 pixels.
    fat_px : float64 (k, 2)
        Centres of the bubbles of fat, over the whole picture; they are empty, with the nuclei in the walls between.
    """

    side_px: int
    regions: Ints
    flow: Floats
    cells_px: Floats
    types: Ints
    angles: Floats
    glands_px: Floats
    fat_px: Floats

    def region_at(self, xy_px: Floats) -> Ints:
        """Index into `REGIONS` at level-0 points `(n, 2)`; glass outside the picture."""
        place = np.floor(xy_px / FIELD_PX).astype(np.int64)
        inside = ((place >= 0) & (place < self.regions.shape[0])).all(axis=1)
        x, y = np.clip(place, 0, self.regions.shape[0] - 1).T
        return np.where(inside, self.regions[y, x], GLASS)


def plan_tissue(patient: Patient, side_px: int, rng: np.random.Generator) -> TissuePlan:
    """Plan a section of a patient: outline, regions, glands, then cells."""
    size = -(-side_px // FIELD_PX)
    regions = _plan_regions(patient, size, rng)
    flow = _flow(size, rng)
    glands = _place_glands(patient.n_glands, regions, rng)
    stroma_xy, stroma_types = _fill_regions(regions, side_px, rng)
    stroma_angles = _angles_along(flow, stroma_xy, stroma_types, rng)
    fat = _place_fat(side_px, rng)
    _into_the_walls(fat, stroma_xy, stroma_angles, regions)
    gland_xy, gland_angles = _fill_glands(glands, rng)
    types = np.concatenate([stroma_types, np.full(len(gland_xy), CELL_TYPES.index("Normal Epithelial"))])
    angles = np.concatenate([stroma_angles, gland_angles])
    cells = np.vstack([stroma_xy, gland_xy])
    inside = ((cells >= 0) & (cells < side_px)).all(axis=1)
    return TissuePlan(side_px, regions, flow, cells[inside], types[inside], angles[inside], glands, fat)


def noise(rng: np.random.Generator, size: int, scale: float) -> Floats:
    """Smooth random field `(size, size)` of mean 0 and standard deviation 1, its blobs about `scale` wide."""
    from PIL import Image

    coarse = max(4, int(np.ceil(size / scale)) + 3)
    grid = Image.fromarray(rng.standard_normal((coarse, coarse)).astype(np.float32))
    span = min(coarse, size / scale + 2)
    field: Floats = np.asarray(
        grid.resize((size, size), Image.Resampling.BICUBIC, box=(0, 0, span, span)), dtype=np.float64
    )
    standardised: Floats = (field - float(field.mean())) / max(float(field.std()), 1e-9)
    return standardised


def _um(length_um: float) -> float:
    """Length in squares of the plan."""
    return length_um / MPP / FIELD_PX


def _plan_regions(patient: Patient, size: int, rng: np.random.Generator) -> Ints:
    y, x = (np.mgrid[0:size, 0:size] + 0.5) / size * 2 - 1
    turn = rng.uniform(0, np.pi)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    radius = (np.abs(u / 0.93) ** 2.6 + np.abs(v / rng.uniform(0.74, 0.88)) ** 2.6) ** (1 / 2.6)
    tissue = radius + 0.06 * noise(rng, size, _um(260)) + 0.012 * noise(rng, size, _um(30)) < 0.97

    edge = 0.28 * noise(rng, size, _um(55)) + 0.10 * noise(rng, size, _um(18))
    layers = (
        (FAT, patient.fat, noise(rng, size, _um(620)) + 0.4 * edge),
        (CANCER, patient.cancer, noise(rng, size, _um(300)) + 1.2 * edge),
        (IMMUNE, patient.immune, noise(rng, size, _um(240)) + edge),
    )
    regions = np.where(tissue, STROMA, GLASS)
    for region, share, field in layers:
        free = regions == STROMA
        if share > 0 and free.any():
            level = np.quantile(field[free], 1 - min(1.0, share * tissue.sum() / free.sum()))
            regions[free & (field > level)] = region
    return regions.astype(np.int64)


def _flow(size: int, rng: np.random.Generator) -> Floats:
    """Phase that grows by one from fibre to fibre (13 um), bent by noise."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float64)
    turn = rng.uniform(0, np.pi)
    straight: Floats = (x * np.cos(turn) + y * np.sin(turn)) / _um(13)
    return straight + 5.0 * noise(rng, size, _um(330)) + 1.1 * noise(rng, size, _um(90))


def _place_glands(n: int, regions: Ints, rng: np.random.Generator) -> Floats:
    """Glands in the connective tissue, apart from each other; marks them in `regions`. Returns `(m, 3)`."""
    y, x = np.nonzero(regions == STROMA)
    found: list[tuple[float, float, float]] = []
    for place in rng.permutation(len(x))[: 60 * n]:
        if len(found) == n:
            break
        lumen = rng.uniform(14, 34) / MPP
        centre = (np.array([x[place], y[place]]) + 0.5) * FIELD_PX
        reach = lumen + 26 / MPP
        near = (np.hypot(x * FIELD_PX - centre[0], y * FIELD_PX - centre[1]) < reach).sum()
        alone = all(np.hypot(*(centre - other[:2])) > reach + other[2] + 34 / MPP for other in found)
        if alone and near > 0.9 * np.pi * (reach / FIELD_PX) ** 2:
            found.append((float(centre[0]), float(centre[1]), float(lumen)))
    rows, columns = np.mgrid[0 : regions.shape[0], 0 : regions.shape[1]]
    for gx, gy, lumen in found:
        distance = np.hypot((columns + 0.5) * FIELD_PX - gx, (rows + 0.5) * FIELD_PX - gy)
        regions[distance < lumen + 20 / MPP] = GLAND
    return np.array(found).reshape(-1, 3)


def _fill_regions(regions: Ints, side_px: int, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """Cells on a shaken hexagonal grid, thinned to each region's density."""
    pitch = _CELL_PITCH_UM / MPP
    rows, columns = np.mgrid[0 : side_px / pitch / 0.866, 0 : side_px / pitch]
    xy = np.stack([(columns + 0.5 * (rows % 2)) * pitch, rows * pitch * 0.866], axis=-1).reshape(-1, 2)
    xy = xy + rng.normal(0, 0.2 * pitch, xy.shape)
    place = np.clip(np.floor(xy / FIELD_PX).astype(np.int64), 0, regions.shape[0] - 1)
    region = regions[place[:, 1], place[:, 0]]
    density = np.array([_DENSITY[number] for number in range(len(REGIONS))])
    taken = rng.random(len(xy)) < density[region]
    xy, region = xy[taken], region[taken]
    types = np.zeros(len(xy), dtype=np.int64)
    for number, mixture in _MIXTURES.items():
        here = np.flatnonzero(region == number)
        types[here] = rng.choice(len(CELL_TYPES), size=len(here), p=np.array(mixture) / sum(mixture))
    return xy, types


def _fill_glands(glands: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Two rings of epithelium round each lumen, nuclei of the inner one pointing at it."""
    xy, angles = [np.empty((0, 2))], [np.empty(0)]
    for x, y, lumen in glands:
        for ring, (beyond_um, pitch_um, turn) in enumerate(((7.0, 6.5, 0.0), (15.0, 9.0, np.pi / 2))):
            radius = lumen + beyond_um / MPP
            n = max(6, round(2 * np.pi * radius * MPP / pitch_um))
            around = np.arange(n) / n * 2 * np.pi + rng.normal(0, 0.12 / n, n) + ring
            reach = radius * (1 + 0.03 * np.sin(3 * around)) + rng.normal(0, 0.8, n)
            xy.append(np.column_stack([x + reach * np.cos(around), y + reach * np.sin(around)]))
            angles.append(around + turn)
    return np.vstack(xy), np.concatenate(angles)


def _place_fat(side_px: int, rng: np.random.Generator) -> Floats:
    """Shaken hexagonal grid of bubbles 54 um wide."""
    pitch = 54 / MPP
    rows, columns = np.mgrid[-1 : side_px / pitch / 0.866 + 2, -1 : side_px / pitch + 2]
    centres = np.stack([(columns + 0.5 * (rows % 2)) * pitch, rows * pitch * 0.866], axis=-1).reshape(-1, 2)
    return centres + rng.normal(0, 0.17 * pitch, centres.shape)


def _into_the_walls(fat: Floats, xy: Floats, angles: Floats, regions: Ints) -> None:
    """Move the cells of the adipose tissue, in place, onto the wall between the two nearest bubbles, and along it."""
    from scipy.spatial import cKDTree

    place = np.clip(np.floor(xy / FIELD_PX).astype(np.int64), 0, regions.shape[0] - 1)
    cells = np.flatnonzero(regions[place[:, 1], place[:, 0]] == FAT)
    if not cells.size:
        return
    _, nearest = cKDTree(fat).query(xy[cells], k=2)
    first, second = fat[nearest[:, 0]], fat[nearest[:, 1]]
    across = second - first
    share = ((first + second) / 2 - xy[cells]) * across
    xy[cells] += across * (share.sum(axis=1) / (across**2).sum(axis=1))[:, None]
    angles[cells] = np.arctan2(across[:, 1], across[:, 0]) + np.pi / 2


def _angles_along(flow: Floats, xy: Floats, types: Ints, rng: np.random.Generator) -> Floats:
    """Fibroblasts and endothelium lie along the fibres, the others anyhow."""
    dy, dx = np.gradient(flow, axis=0), np.gradient(flow, axis=1)
    place = np.clip(np.floor(xy / FIELD_PX).astype(np.int64), 0, flow.shape[0] - 1)
    along = np.arctan2(dy[place[:, 1], place[:, 0]], dx[place[:, 1], place[:, 0]]) + np.pi / 2
    follows = np.isin(types, [CELL_TYPES.index("CAFs"), CELL_TYPES.index("Endothelial")])
    return np.where(follows, along + rng.normal(0, 0.2, len(xy)), rng.uniform(0, np.pi, len(xy)))
