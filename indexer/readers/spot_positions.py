"""Spot positions of legacy Spatial Transcriptomics, joined with the counts and checked against the image."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexer.errors import JoinError

_COLUMNS = ("x", "y", "pixel_x", "pixel_y")

_MIN_JOINED = 0.5  # share of the spots with a position that must have counts
_MIN_SPOTS_TO_FIT = 12  # fewer spots say nothing about scale or axes
_MAX_SCALE_ERROR = 0.25
_MAX_UNEVENNESS, _MIN_REGULAR = 0.05, 0.9
_MAX_OUTSIDE = 0.1  # share of the centres that may lie outside the image


@dataclass(frozen=True, slots=True)
class SpotPositions:
    """Where the spots of a section lie.

    Attributes
    ----------
    array_xy : int64 (n, 2)
        Column and row on the spotted array.
    xy_px : float64 (n, 2)
        Centres, level-0 pixels.
    """

    array_xy: npt.NDArray[np.int64]
    xy_px: npt.NDArray[np.float64]

    @property
    def names(self) -> tuple[str, ...]:
        """`<x>x<y>` of the array, the row names of the counts."""
        return tuple(f"{x}x{y}" for x, y in self.array_xy.tolist())


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a tab-separated table with a header that holds `columns`. Raises `JoinError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise JoinError(f"Cannot read {path}: {error}; expected a tab-separated table.") from error
    reader = csv.DictReader(io.StringIO(text), delimiter="\t")
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        found = ", ".join(reader.fieldnames or ()) or "nothing"
        raise JoinError(
            f"{path.name} has no column {', '.join(missing)}; expected {', '.join(columns)}, found {found}."
        )
    return list(reader)


def read_positions(path: Path) -> SpotPositions:
    """Read a `*_selection.tsv` with columns `x y new_x new_y pixel_x pixel_y selected`; rows that are not selected go.

    Raises
    ------
    JoinError
        If a column is missing, a value is not a finite number, or a spot is listed twice.
    """
    rows = [row for row in read_table(path, _COLUMNS) if (row.get("selected") or "1").strip() != "0"]
    values = np.empty((len(rows), len(_COLUMNS)))
    for place, row in enumerate(rows):
        for column, name in enumerate(_COLUMNS):
            values[place, column] = _number(row[name], f"{path.name}, line {place + 2}, column {name}")
    positions = SpotPositions(np.rint(values[:, :2]).astype(np.int64), values[:, 2:].copy())
    names = positions.names
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise JoinError(f"{path.name} lists spot {twice} twice; expected each spot once.")
    return positions


def join_counts(names: Sequence[str], positions: SpotPositions, where: str) -> npt.NDArray[np.int64]:
    """Row of `positions` for each row of the counts, `int64 (len(names),)`.

    A few spots with a position and without counts are normal: they failed after they were selected.

    Raises
    ------
    JoinError
        If counts have no position, or fewer than half of the positions have counts; shows names of both.
    """
    known = positions.names
    row = {name: place for place, name in enumerate(known)}
    lost = [name for name in names if name not in row]
    joined = len(names) - len(lost)
    if lost or joined < _MIN_JOINED * len(known):
        raise JoinError(
            f"{where}: {joined} of {len(names)} counts rows match one of {len(known)} spot positions; expected a "
            f"position for each counts row and counts for at least {_MIN_JOINED:.0%} of the positions. Counts rows are "
            f"named like {_examples(lost or names)}, positions like {_examples(known)}; check that both are of one "
            "section."
        )
    return np.array([row[name] for name in names], dtype=np.int64)


def check_positions(
    positions: SpotPositions,
    where: str,
    *,
    size_px: tuple[int, int] | None = None,
    pitch_px: float | None = None,
) -> None:
    """Check that the centres run with the array, at the expected scale, inside the image.

    Parameters
    ----------
    positions : SpotPositions
        Array coordinates and centres.
    where : str
        Named in the message.
    size_px : tuple of int, optional
        `(width, height)` of the image, level 0.
    pitch_px : float, optional
        Expected distance between the centres of neighbouring spots.

    Raises
    ------
    JoinError
        If x and y look swapped, the scale differs by more than a quarter, or a tenth of the centres lie outside.
    """
    _check_axes(positions, where, pitch_px)
    if size_px is None:
        return
    outside = _share_outside(positions.xy_px, size_px)
    if outside <= _MAX_OUTSIDE:
        return
    if _share_outside(positions.xy_px[:, ::-1], size_px) <= _MAX_OUTSIDE:
        raise JoinError(_swapped(where, f"{outside:.0%} of the centres lie outside the image, none when swapped"))
    corner = ", ".join(f"{value:.0f}" for value in positions.xy_px.max(axis=0))
    raise JoinError(
        f"{where}: {outside:.0%} of the spot centres lie outside the image of {size_px[0]} x {size_px[1]} pixels (they "
        f"reach to {corner}); expected centres in pixels of this very image. Check that it is the full-resolution one."
    )


def pitch_of(positions: SpotPositions) -> float | None:
    """Distance of neighbouring spots in pixels; `None` where there are too few spots, or all in a line, to tell."""
    slope = _slope(positions)
    return None if slope is None else float(np.sqrt(slope[0, 0] * slope[1, 1]))


def _slope(positions: SpotPositions) -> npt.NDArray[np.float64] | None:
    """Pixels along x and y for each step of the array's x and y, without signs."""
    array = np.column_stack([positions.array_xy, np.ones(len(positions.array_xy))])
    if len(array) < _MIN_SPOTS_TO_FIT or np.linalg.matrix_rank(array) < 3:
        return None
    return np.abs(np.asarray(np.linalg.lstsq(array, positions.xy_px, rcond=None)[0][:2], dtype=np.float64))


def nearest_px(xy_px: npt.NDArray[np.float64]) -> float | None:
    """Distance of neighbouring spots of a regular array, pixels; `None` where it is not regular enough to tell.

    It is the median distance to the nearest spot, if nine tenths of them are within a twentieth of it.
    """
    from scipy.spatial import cKDTree

    if len(xy_px) < _MIN_SPOTS_TO_FIT:
        return None
    nearest = cKDTree(xy_px).query(xy_px, k=2)[0][:, 1]
    pitch = float(np.median(nearest))
    is_regular = pitch > 0 and float(np.mean(np.abs(nearest / pitch - 1) <= _MAX_UNEVENNESS)) >= _MIN_REGULAR
    return pitch if is_regular else None


def _check_axes(positions: SpotPositions, where: str, pitch_px: float | None) -> None:
    """Fit pixels on array coordinates: the slope's large entries tell the axes, its size the scale."""
    slope = _slope(positions)
    if slope is None:
        return
    if slope[0, 1] > slope[0, 0] and slope[1, 0] > slope[1, 1]:
        raise JoinError(_swapped(where, "pixel_x runs with the array's y and pixel_y with its x"))
    found = float(np.sqrt(slope[0, 0] * slope[1, 1]))
    if pitch_px is not None and abs(found / pitch_px - 1) > _MAX_SCALE_ERROR:
        raise JoinError(
            f"{where}: neighbouring spots lie {found:.0f} px apart; expected about {pitch_px:.0f} px from the mpp and "
            "the spot pitch of the manifest. The positions may be of another resolution, or the mpp is wrong."
        )


def _swapped(where: str, why: str) -> str:
    return f"{where}: x and y look swapped, since {why}; expected pixel_x along the width. Exchange the two columns."


def _share_outside(xy_px: npt.NDArray[np.float64], size_px: tuple[int, int]) -> float:
    inside = (xy_px >= 0).all(axis=1) & (xy_px <= np.asarray(size_px)).all(axis=1)
    return float(1 - inside.mean()) if len(xy_px) else 0.0


def _number(cell: str | None, where: str) -> float:
    try:
        value = float(cell or "nan")
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise JoinError(f"{where}: got '{cell}'; expected a finite number.")
    return value


def _examples(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:3]) or "(none)"
