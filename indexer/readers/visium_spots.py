"""Spot positions and scale of Space Ranger: which pixel each barcode lies on, and how many micrometres a pixel has."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexer.errors import JoinError
from indexer.slides import MppSource

SPOT_UM = 55.0
PITCH_UM = 100.0  # centre to centre; the array is hexagonal, so neighbours in a row are two columns apart

_OLD, _NEW = "tissue_positions_list.csv", "tissue_positions.csv"  # up to Space Ranger 1 without header, then with one
_COLUMNS = ("barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres")
_ROW_PITCHES = 3**0.5 / 2  # distance of two rows in pitches
_MIN_SPOTS_TO_FIT = 12
_MAX_UNEVENNESS = 0.1  # pitch along the rows and across them may differ by this much


@dataclass(frozen=True, slots=True)
class VisiumSpots:
    """Spots of a capture area, in tissue or not.

    Attributes
    ----------
    barcodes : tuple of str
        Unique.
    array_xy : float64 (n, 2)
        Column and row on the array.
    xy_px : float64 (n, 2)
        Centres in pixels of the full-resolution image, `(x, y)`: the file has rows before columns.
    """

    barcodes: tuple[str, ...]
    array_xy: npt.NDArray[np.float64]
    xy_px: npt.NDArray[np.float64]


def positions_file(spatial: Path) -> Path:
    """The table of positions in `spatial/`, new before old. Raises `JoinError` if there is none."""
    for name in (_NEW, _OLD):
        if (spatial / name).is_file():
            return spatial / name
    raise JoinError(f"{spatial} has no {_NEW} or {_OLD}; expected a whole Space Ranger `outs` folder.")


def read_spots(path: Path) -> VisiumSpots:
    """Positions with or without a header line.

    Raises
    ------
    JoinError
        If the table cannot be read, lacks a column, repeats a barcode, or has something else than numbers.
    """
    try:
        lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise JoinError(f"Cannot read {path}: {error}; expected the positions of Space Ranger.") from error
    header = [cell.strip() for cell in lines[0]] if lines and "barcode" in lines[0] else list(_COLUMNS)
    rows = [line for line in (lines[1:] if lines and "barcode" in lines[0] else lines) if line]
    missing = [name for name in _COLUMNS if name not in header]
    short = next((number for number, row in enumerate(rows, start=1) if len(row) != len(header)), None)
    if missing or short is not None or not rows:
        why = f"has no column {', '.join(missing)}" if missing else f"has no {len(header)} columns in row {short or 1}"
        raise JoinError(f"{path} {why}; expected {', '.join(_COLUMNS)}. It may be cut short: get it again.")
    barcodes = tuple(row[header.index("barcode")] for row in rows)
    if len(set(barcodes)) < len(barcodes):
        raise JoinError(f"{path} lists a barcode twice; expected each spot once.")
    columns = [header.index(name) for name in ("array_col", "array_row", "pxl_col_in_fullres", "pxl_row_in_fullres")]
    try:
        values = np.array([[float(row[column]) for column in columns] for row in rows])
    except ValueError as error:
        raise JoinError(f"{path}: {error}; expected array and pixel positions as numbers.") from error
    if not np.isfinite(values).all():
        raise JoinError(f"{path} has positions that are not finite; expected numbers.")
    return VisiumSpots(barcodes, values[:, :2].copy(), values[:, 2:].copy())


def pitch_px(spots: VisiumSpots, where: str) -> float | None:
    """Distance of neighbouring spots in full-resolution pixels; `None` where there are too few to tell.

    Pixels are fitted as a straight line of array columns and rows, whichever way the picture was turned.

    Raises
    ------
    JoinError
        If x and y are swapped (the array comes out mirrored), or the array is stretched along one axis.
    """
    array = np.column_stack([spots.array_xy, np.ones(len(spots.array_xy))])
    if len(array) < _MIN_SPOTS_TO_FIT or np.linalg.matrix_rank(array) < 3:
        return None
    slope = np.linalg.lstsq(array, spots.xy_px, rcond=None)[0][:2]
    if np.linalg.det(slope) < 0:
        raise JoinError(
            f"{where}: x and y look swapped, since the array comes out mirrored; expected pxl_row before pxl_col, y "
            "before x. Exchange the two columns."
        )
    along = 2 * float(np.linalg.norm(slope[0]))
    across = float(np.linalg.norm(slope[1])) / _ROW_PITCHES
    if not min(along, across) > 0 or max(along, across) / min(along, across) > 1 + _MAX_UNEVENNESS:
        raise JoinError(
            f"{where}: neighbouring spots lie {along:.1f} px apart along the array's rows and {across:.1f} px across "
            "them; expected the same. The positions were scaled along one axis, or belong to another array."
        )
    return (along + across) / 2


def read_scale_factors(spatial: Path) -> dict[str, float]:
    """Numbers of `scalefactors_json.json`. Raises `JoinError` if it is missing or not as Space Ranger writes it."""
    path = spatial / "scalefactors_json.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): float(value) for name, value in found.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise JoinError(f"Cannot read {path}: {error}; expected the scale factors of Space Ranger.") from error


def find_mpp(spatial: Path, where: str) -> tuple[float, MppSource] | None:
    """Micrometres per full-resolution pixel: as the scale factors say, else from the 100 um pitch of the array.

    The diameter in the scale factors is not used: some versions mean the 55 um spot by it, some a 65 um one. Raises
    `JoinError`.
    """
    has_factors = (spatial / "scalefactors_json.json").is_file()
    said = read_scale_factors(spatial).get("microns_per_pixel") if has_factors else None
    if said is not None and said > 0:
        return said, "file"
    pitch = pitch_px(read_spots(positions_file(spatial)), where)
    return None if pitch is None else (PITCH_UM / pitch, "pitch")
