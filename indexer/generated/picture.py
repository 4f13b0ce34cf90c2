"""Draw a planned section as haematoxylin and eosin see it.

Amounts of the two stains are painted as grey maps and turned into colours by Beer-Lambert absorption with the stain
vectors of Ruifrok & Johnston, Anal Quant Cytol Histol 2001 (eosin made a little less pure).
"""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from indexer.generated.tissue import (
    CANCER,
    CELL_TYPES,
    FAT,
    FIELD_PX,
    GLAND,
    GLASS,
    IMMUNE,
    MPP,
    STROMA,
    Floats,
    Patient,
    TissuePlan,
    noise,
)
from indexer.slides import Pixels

_Map = npt.NDArray[np.floating]

_FINE = 2  # nuclei are drawn on a grid this much finer, then averaged
_CORNERS = 14

_HAEMATOXYLIN = np.array([0.65, 0.70, 0.29])
_EOSIN = np.array([0.10, 0.86, 0.42])

#: Half axes of the nucleus in micrometres, its stain in [0, 1], and whether it is vesicular (pale with a nucleolus).
_NUCLEI: dict[str, tuple[float, float, float, bool]] = {
    "Cancer Epithelial": (5.0, 3.9, 0.66, True),
    "Normal Epithelial": (3.9, 2.5, 0.74, False),
    "CAFs": (6.6, 1.5, 0.72, False),
    "Endothelial": (5.2, 1.4, 0.78, False),
    "T-cells": (2.9, 2.7, 0.92, False),
    "B-cells": (3.1, 2.9, 0.88, False),
    "Myeloid": (3.8, 2.9, 0.68, False),
    "Adipocytes": (4.6, 1.2, 0.76, False),
}


def draw_section(plan: TissuePlan, patient: Patient, rng: np.random.Generator) -> Pixels:
    """Picture of a planned section, RGB uint8 `(side_px, side_px, 3)`."""
    side = plan.side_px
    matrix, basophilic = _paint_matrix(plan, rng)
    nuclei = _paint_nuclei(plan, rng)
    grain = noise(rng, side, 2.2 / MPP).astype(np.float32)
    haematoxylin = basophilic + nuclei * (1.0 + 0.10 * grain)
    eosin = matrix * (1 - 0.55 * nuclei)
    density = 1.45 * patient.haematoxylin * haematoxylin[..., None] * _HAEMATOXYLIN.astype(np.float32)
    tint = (_EOSIN + patient.hue * np.array([0.07, 0.0, -0.10])).astype(np.float32)
    density += 0.80 * patient.eosin * eosin[..., None] * tint
    density += np.array([0.012, 0.016, 0.010], dtype=np.float32)  # glass and medium
    light = 255 * np.exp(-density) + rng.normal(0, 1.2, (side, side, 1)).astype(np.float32)
    picture = Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(0.55)), dtype=np.uint8)


def _paint_matrix(plan: TissuePlan, rng: np.random.Generator) -> tuple[_Map, _Map]:
    """Eosin and haematoxylin of all that is no nucleus, each float32 `(side_px, side_px)`."""
    side = plan.side_px
    cloudy, fine = (noise(rng, side, um / MPP).astype(np.float32) for um in (45, 4))
    phase = 2 * np.pi * _enlarge(plan.flow, side) + 0.5 * fine
    wave = np.sin(phase) * np.clip(0.5 + 0.6 * cloudy, 0, 1.3) + 0.5 * np.sin(0.37 * phase + 2 * cloudy)
    sheets = np.clip(0.62 + 0.14 * wave + 0.14 * cloudy + 0.06 * fine, 0.12, 1.2)
    eosin_of = {
        STROMA: sheets,
        FAT: _membranes(plan),
        CANCER: np.clip(0.44 + 0.07 * cloudy + 0.07 * fine, 0.1, 0.9),
        IMMUNE: np.clip(0.26 + 0.06 * cloudy + 0.07 * fine, 0.05, 0.7),
        GLAND: np.clip(0.46 + 0.06 * fine, 0.1, 0.9),
    }
    basophilic_of = {STROMA: 0.02, FAT: 0.0, CANCER: 0.13, IMMUNE: 0.11, GLAND: 0.08}
    eosin, basophilic = np.zeros((side, side), np.float32), np.zeros((side, side), np.float32)
    for region, painted in eosin_of.items():
        share = _soft(plan.regions == region, side)
        eosin += share * painted
        basophilic += share * basophilic_of[region]
    lumen = _lumina(plan)
    clefts = np.clip(-0.75 - cloudy - 0.5 * wave, 0, 0.5) * _soft(plan.regions == STROMA, side)
    return eosin * (1 - lumen) * (1 - clefts), basophilic * (1 - lumen)


def _enlarge(field: Floats, side: int) -> _Map:
    """Field of the plan at level 0."""
    whole = field.shape[0] * FIELD_PX
    large = Image.fromarray(field.astype(np.float32)).resize((whole, whole), Image.Resampling.BICUBIC)
    return np.asarray(large, dtype=np.float32)[:side, :side]


def _soft(mask: npt.NDArray[np.bool_], side: int) -> _Map:
    """Mask of the plan at level 0 with a smooth edge."""
    return np.clip(_enlarge(mask.astype(np.float64), side), 0, 1)


def _membranes(plan: TissuePlan) -> _Map:
    """Fat cells as empty bubbles with thin walls: the edges of a Voronoi diagram of their centres."""
    from scipy.spatial import cKDTree

    side = plan.side_px
    walls = np.zeros((side, side), dtype=np.float32)
    near = np.asarray(_soft(plan.regions == FAT, side) > 0.01)
    y, x = np.nonzero(near[::2, ::2])
    if not len(x):
        return walls
    nearest, _ = cKDTree(plan.fat_px).query(np.column_stack([x, y]) * 2.0, k=2, workers=1)
    n = (side + 1) // 2
    half = np.zeros((n, n), dtype=np.float32)
    half[y, x] = 0.60 * np.exp(-(((nearest[:, 1] - nearest[:, 0]) * MPP / 2.4) ** 2))
    large = Image.fromarray(half).resize((2 * n, 2 * n), Image.Resampling.BILINEAR)
    return np.asarray(large, dtype=np.float32)[:side, :side]


def _lumina(plan: TissuePlan) -> _Map:
    picture = Image.new("L", (plan.side_px, plan.side_px))
    pen = ImageDraw.Draw(picture)
    for x, y, radius in plan.glands_px:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(2)), dtype=np.float32) / 255


def _paint_nuclei(plan: TissuePlan, rng: np.random.Generator) -> _Map:
    """Haematoxylin of the nuclei, float32 `(side_px, side_px)` in [0, 1]."""
    picture = Image.new("L", (plan.side_px * _FINE, plan.side_px * _FINE))
    pen = ImageDraw.Draw(picture)
    around = np.arange(_CORNERS) / _CORNERS * 2 * np.pi
    circle = np.column_stack([np.cos(around), np.sin(around)])
    n = len(plan.cells_px)
    swelling = np.exp(rng.normal(0, 0.14, n))
    darkness = np.exp(rng.normal(0, 0.17, n))
    dents = 1 + rng.normal(0, 0.05, (n, _CORNERS))
    for cell in rng.permutation(n):
        long_um, short_um, stain, vesicular = _NUCLEI[CELL_TYPES[plan.types[cell]]]
        size = swelling[cell] / MPP * _FINE
        shape = circle * dents[cell][:, None] * (long_um * size, short_um * size)
        cos, sin = np.cos(plan.angles[cell]), np.sin(plan.angles[cell])
        outline = shape @ np.array([[cos, sin], [-sin, cos]])
        centre = plan.cells_px[cell] * _FINE
        fill = int(min(255, 255 * stain * darkness[cell]))
        _blob(pen, centre + outline, fill)
        if vesicular:
            _blob(pen, centre + 0.78 * outline, int(0.80 * fill))
            _blob(pen, centre + 0.22 * outline + 0.2 * outline[cell % _CORNERS], min(255, int(1.25 * fill)))
    small = picture.reduce(_FINE)
    tissue = _soft(plan.regions != GLASS, plan.side_px)
    return np.asarray(small, dtype=np.float32) / 255 * tissue


def _blob(pen: ImageDraw.ImageDraw, outline: Floats, fill: int) -> None:
    pen.polygon(outline.ravel().tolist(), fill=fill)
