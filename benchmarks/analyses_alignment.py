"""A section turned, enlarged and bent, laid back over itself; and a section laid over its neighbour in the block."""

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.report import Row
from encoders.contracts import Modality
from search.engine import Engine
from search.item_rows import vectors_of
from search.profiles import Doubles
from search.sections.alignment import PointSet, align_points

_SECTION, _NEIGHBOUR = "C2", "C3"
_DEGREES, _SCALE, _BEND_UM = 30.0, 1.1, 50.0
_SIDES: tuple[Modality, Modality] = ("image", "expression")
_SAME: tuple[tuple[Modality, Modality], ...] = (("image", "image"), ("expression", "expression"))


def warp_rows(engine: Engine) -> Iterator[Row]:
    """Errors of a planted warp by what is compared."""
    own = _Spots(engine, _SECTION)
    planted = _warped(own.xy_um)
    apart = planted - planted.mean(axis=0) + own.xy_um.mean(axis=0) - own.xy_um
    start = float(np.median(np.linalg.norm(apart, axis=1)))
    for moving, fixed in (*_SAME, _SIDES):
        found = align_points(PointSet(planted, own.side(moving)), PointSet(own.xy_um, own.side(fixed)))
        name = "planted warp median error" + ("" if (moving, fixed) == _SAME[0] else f", {moving} on {fixed}")
        error = float(np.median(np.linalg.norm(found.moved_um - own.xy_um, axis=1)))
        against = "planted warp median error (centres on each other)"
        yield Row("analyses", name, error, "um", against, len(planted))
    yield Row("analyses", "planted warp median error (centres on each other)", start, "um", None, len(planted))


def neighbour_rows(engine: Engine) -> Iterator[Row]:
    """How alike the tissue is that comes to lie on each other when a section is laid over the next of its block."""
    own, other = _Spots(engine, _SECTION), _Spots(engine, _NEIGHBOUR)
    base = "expression cosine of adjacent sections (centres on each other)"
    for moving, fixed in (_SAME[0], _SIDES):
        found = align_points(PointSet(other.xy_um, other.side(moving)), PointSet(own.xy_um, own.side(fixed)))
        name = f"expression cosine of adjacent sections, {moving} on {fixed}"
        turn = np.rad2deg(np.arctan2(found.matrix[1, 0], found.matrix[0, 0]))
        agreement = _agreement(found.moved_um, other, own)
        yield Row("analyses", name, agreement, "cosine", base, len(own.xy_um), f"turned by {turn:.1f} degrees")
    centred = other.xy_um - other.xy_um.mean(axis=0) + own.xy_um.mean(axis=0)
    yield Row("analyses", base, _agreement(centred, other, own), "cosine", None, len(own.xy_um))


class _Spots:
    """The spots of a section."""

    def __init__(self, engine: Engine, slide: str) -> None:
        self._catalogue = catalogue = engine.catalogue
        rows = catalogue.rows_where("slide", slide)
        both = catalogue.has("image")[rows] & catalogue.has("expression")[rows]
        self._rows = rows[both & catalogue.is_one_of("kind", ["spot"])[rows]]
        xy = np.column_stack([catalogue.column(name)[self._rows] for name in ("x_px", "y_px")]).astype(np.float64)
        self.xy_um: Doubles = xy * float(catalogue.column("mpp")[self._rows[0]])

    def side(self, side: Modality) -> Doubles:
        """Their vectors, float64 `(n, dim)`."""
        return vectors_of(self._catalogue, self._rows, side).astype(np.float64)


def _warped(xy: Doubles) -> Doubles:
    centred = xy - xy.mean(axis=0)
    length = np.ptp(centred, axis=0).max()
    bent = centred + _BEND_UM * np.sin(2 * np.pi * centred[:, ::-1] / length)
    angle = np.deg2rad(_DEGREES)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(_SCALE * bent @ turn.T + xy.mean(axis=0) + [3_000.0, -1_500.0])


def _agreement(moved: Doubles, other: _Spots, own: _Spots) -> float:
    """Mean cosine of the expression vectors of items that come to lie nearest to each other."""
    _, near = cKDTree(own.xy_um).query(moved)
    return float(np.einsum("ij,ij->i", other.side("expression"), own.side("expression")[near]).mean())
