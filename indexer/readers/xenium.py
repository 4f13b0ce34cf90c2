"""Format `xenium`: bundles of the Xenium analyser, a row a cell, in pixels of the morphology image.

The H&E of such a section has another frame until it is registered, so no picture is taken.
"""

import json
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexer.errors import DataError, JoinError
from indexer.format import Circumstances, Format
from indexer.readers.measured import Measured, MeasuredSlide
from indexer.readers.tenx import matrix_files, read_features, read_matrix
from indexer.slides import MppSource, SlideSource

_EXPERIMENT = "experiment.xenium"
_CELLS = "cells.parquet"
_MATRIX = "cell_feature_matrix"
_CENTRES = ("x_centroid", "y_centroid")


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    if not place.is_dir():
        raise DataError(f"There is no folder {place}; expected a Xenium bundle, or a folder of them.")
    bundles = sorted(path.parent for path in place.rglob(_EXPERIMENT))
    names = [bundle.resolve().name for bundle in bundles]
    if not bundles or len(set(names)) < len(names):
        raise DataError(
            f"{place} holds {len(bundles)} {_EXPERIMENT}; expected at least one, in folders of other names."
        )
    return [_slide(name, bundle, around) for name, bundle in zip(names, bundles, strict=True)]


def _slide(name: str, bundle: Path, around: Circumstances) -> MeasuredSlide:
    matrix = _matrix(bundle)
    files = (bundle / _EXPERIMENT, bundle / _CELLS, *matrix_files(matrix))
    return MeasuredSlide(
        around.facts(name, technology="10x Xenium"),
        "cell",
        tuple(path for path in files if path.is_file()),
        partial(_read, name, bundle, has_picture=around.image(name) is not None),
        partial(read_features, matrix),
        around.tables,
        find_mpp=partial(_find_mpp, bundle),
    )


def _read(name: str, bundle: Path, *, has_picture: bool) -> Measured:
    found = read_matrix(_matrix(bundle))
    mpp, _ = _find_mpp(bundle)
    ids, centres_um = _read_cells(bundle / _CELLS)
    place = {cell: row for row, cell in enumerate(ids)}
    lost = [cell for cell in found.names if cell not in place]
    if lost:
        raise JoinError(
            f"Slide {name}: {len(lost)} of {len(found.names)} cells of the counts, such as {lost[0]!r}, are not in "
            f"{_CELLS}. Take both from one bundle."
        )
    rows = [place[cell] for cell in found.names]
    said = "its picture is not used, since it is not in the frame of the cells: register it first"
    remarks = (*found.remarks, *([said] if has_picture else []))
    return Measured(found.names, found.counts, found.genes, centres_um[rows] / mpp, remarks=remarks)


def _read_cells(path: Path) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Ids and centres in micrometres. Raises `JoinError`."""
    import pandas as pd

    try:
        frame = pd.read_parquet(path, columns=["cell_id", *_CENTRES])
    except (OSError, ValueError, KeyError) as error:
        raise JoinError(f"Cannot read {path}: {error}; expected cell_id, {', '.join(_CENTRES)}.") from error
    centres = frame[list(_CENTRES)].to_numpy(dtype=np.float64)
    if not np.isfinite(centres).all():
        raise JoinError(f"{path} has centres that are not finite; expected micrometres.")
    return [cell.decode() if isinstance(cell, bytes) else str(cell) for cell in frame["cell_id"]], centres


def _find_mpp(bundle: Path) -> tuple[float, MppSource]:
    path = bundle / _EXPERIMENT
    try:
        size = float(json.loads(path.read_text(encoding="utf-8"))["pixel_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JoinError(
            f"Cannot read pixel_size of {path}: {error!r}; expected micrometres, such as 0.2125."
        ) from error
    if not 0 < size < float("inf"):
        raise JoinError(f"{path} has pixel_size {size}; expected micrometres, such as 0.2125.")
    return size, "file"


def _matrix(bundle: Path) -> Path:
    h5 = bundle / f"{_MATRIX}.h5"
    return h5 if h5.is_file() else bundle / _MATRIX


FORMAT = Format("xenium", "bundle of the Xenium analyser (cells), or a folder of them", _find)
