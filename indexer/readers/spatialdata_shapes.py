"""Shapes of SpatialData: names and centres of circles and polygons, from their GeoParquet file."""

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexer.errors import JoinError

_POINT, _POLYGON, _MULTIPOLYGON = 1, 3, 6
_KINDS = {_POINT: "points", _POLYGON: "polygons", _MULTIPOLYGON: "multipolygons"}


def read_centres(element: Path) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Names and centres `(n, 2)`, `(x, y)` in the element's own coordinates: of polygons the centre of their area.

    Raises
    ------
    JoinError
        If the file is missing, damaged, or of a version before 0.2 of SpatialData's shapes.
    """
    import pandas as pd

    path = element / "shapes.parquet"
    if not path.is_file():
        raise JoinError(f"{element} has no shapes.parquet; expected shapes as SpatialData 0.1 or later writes them.")
    try:
        frame = pd.read_parquet(path)
        centres = [_centre(bytes(geometry)) for geometry in frame["geometry"]]
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise JoinError(f"Cannot read {path}: {error!r}; expected circles or polygons.") from error
    xy = np.array(centres, dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(xy).all():
        raise JoinError(f"{path} has centres that are not finite; expected coordinates.")
    return [str(name) for name in frame.index], xy


def _centre(geometry: bytes) -> npt.NDArray[np.float64]:
    """Centre of a geometry in the well-known binary form (OGC 06-103r4, section 8.2)."""
    order = "<" if geometry[0] == 1 else ">"
    (kind,) = struct.unpack_from(f"{order}I", geometry, 1)
    if kind == _POINT:
        return np.array(struct.unpack_from(f"{order}2d", geometry, 5))
    if kind == _POLYGON:
        return _of_parts([_polygon(geometry, 0)[0]])
    if kind != _MULTIPOLYGON:
        raise ValueError(f"geometry of kind {kind}, expected {', '.join(_KINDS.values())}")
    (n_parts,) = struct.unpack_from(f"{order}I", geometry, 5)
    parts, start = [], 9
    for _ in range(n_parts):
        part, start = _polygon(geometry, start)
        parts.append(part)
    return _of_parts(parts)


def _polygon(geometry: bytes, start: int) -> tuple[npt.NDArray[np.float64], int]:
    """Outline `(n, 2)` of a polygon, its holes passed over, and where it ends."""
    order = "<" if geometry[start] == 1 else ">"
    (n_rings,) = struct.unpack_from(f"{order}I", geometry, start + 5)
    start += 9
    rings = []
    for _ in range(n_rings):
        (n_points,) = struct.unpack_from(f"{order}I", geometry, start)
        rings.append(np.frombuffer(geometry, f"{order}f8", 2 * n_points, start + 4).reshape(-1, 2))
        start += 4 + 16 * n_points
    return rings[0].astype(np.float64), start


def _of_parts(outlines: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Centre of the area of closed outlines; of an area of nothing the mean of its corners."""
    total, moment = 0.0, np.zeros(2)
    for outline in outlines:
        x, y = (outline - outline[0]).T
        cross = x[:-1] * y[1:] - x[1:] * y[:-1]
        area = float(cross.sum()) / 2
        sums = np.array([((x[:-1] + x[1:]) * cross).sum(), ((y[:-1] + y[1:]) * cross).sum()])
        sign = np.sign(area) or 1.0
        total += abs(area)
        moment += sign * sums / 6 + abs(area) * outline[0]
    return moment / total if total > 0 else np.asarray(np.vstack(outlines).mean(axis=0), dtype=np.float64)
