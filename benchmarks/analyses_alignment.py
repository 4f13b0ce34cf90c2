"""A section turned, enlarged and bent, laid back over itself; and a section laid over its neighbour in the block."""

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.her2st_sections import paired_vectors, read_sections
from benchmarks.report import Row
from encoders.recipe import Recipe
from encoders.registry import open_space
from indexer.datasets.manifest import load_manifest
from search.profiles import Doubles
from search.quality.retrieval_quality import PairedVectors
from search.sections.alignment import PointSet, align_points
from search.training.run import MINI_DATA

_SECTION, _NEIGHBOUR = "C2", "C3"
_DEGREES, _SCALE, _BEND_UM = 30.0, 1.1, 50.0
_SIDES = ("image", "expression")


def alignment_rows() -> Iterator[Row]:
    """Errors of a planted warp by what is compared, then how alike the tissue is that comes to lie on each other."""
    space, slides = open_space("mini"), load_manifest().datasets[MINI_DATA].slides
    seen = {}
    for section in read_sections(Recipe(name="mini"), slides=(_SECTION, _NEIGHBOUR)):
        both = paired_vectors(space, section)
        seen[both.slide] = both
    mpp = {slide: float(slides[slide].mpp or load_manifest().datasets[MINI_DATA].mpp or 1.0) for slide in seen}
    own, other = seen[_SECTION], seen[_NEIGHBOUR]
    xy, other_xy = _um(own, mpp), _um(other, mpp)
    planted = _warped(xy)
    start = float(np.median(np.linalg.norm(planted - planted.mean(axis=0) + xy.mean(axis=0) - xy, axis=1)))
    for moving, fixed in ((_SIDES[0],) * 2, (_SIDES[1],) * 2, _SIDES):
        found = align_points(PointSet(planted, _side(own, moving)), PointSet(xy, _side(own, fixed)))
        name = "planted warp median error" + ("" if (moving, fixed) == ("image", "image") else f", {moving} on {fixed}")
        error = float(np.median(np.linalg.norm(found.moved_um - xy, axis=1)))
        yield Row("analyses", name, error, "um", "planted warp median error (centres on each other)", len(xy))
    yield Row("analyses", "planted warp median error (centres on each other)", start, "um", None, len(xy))
    centred = other_xy - other_xy.mean(axis=0) + xy.mean(axis=0)
    base = "expression cosine of adjacent sections (centres on each other)"
    for moving, fixed in ((_SIDES[0],) * 2, _SIDES):
        found = align_points(PointSet(other_xy, _side(other, moving)), PointSet(xy, _side(own, fixed)))
        name = f"expression cosine of adjacent sections, {moving} on {fixed}"
        turn = np.rad2deg(np.arctan2(found.matrix[1, 0], found.matrix[0, 0]))
        agreement = _agreement(found.moved_um, other, xy, own)
        yield Row("analyses", name, agreement, "cosine", base, len(xy), f"turned by {turn:.1f} degrees")
    yield Row("analyses", base, _agreement(centred, other, xy, own), "cosine", None, len(xy))


def _um(section: PairedVectors, mpp: dict[str, float]) -> Doubles:
    if section.xy_px is None:
        raise ValueError(f"Section {section.slide} has no places.")
    return section.xy_px * mpp[section.slide]


def _side(section: PairedVectors, side: str) -> Doubles:
    return np.asarray(section.images if side == "image" else section.expression, dtype=np.float64)


def _warped(xy: Doubles) -> Doubles:
    centred = xy - xy.mean(axis=0)
    length = np.ptp(centred, axis=0).max()
    bent = centred + _BEND_UM * np.sin(2 * np.pi * centred[:, ::-1] / length)
    angle = np.deg2rad(_DEGREES)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(_SCALE * bent @ turn.T + xy.mean(axis=0) + [3_000.0, -1_500.0])


def _agreement(moved: Doubles, other: PairedVectors, xy: Doubles, own: PairedVectors) -> float:
    """Mean cosine of the expression vectors of items that come to lie nearest to each other."""
    _, near = cKDTree(xy).query(moved)
    return float(np.einsum("ij,ij->i", other.expression, own.expression[near]).mean())
