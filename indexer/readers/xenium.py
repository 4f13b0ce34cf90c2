"""Format `xenium`: bundles of the Xenium analyser, a row a cell, in pixels of the morphology image.

The H&E of such a section has another frame. Where a table names it and the bundle has the alignment that Xenium
Explorer exports (`*_he_imagealignment.csv`, a matrix from its pixels to those of the morphology image), cells lie in
its pixels; without the alignment no picture is taken.
"""

import json
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from indexer.errors import DataError, JoinError
from indexer.format import Circumstances, Format
from indexer.readers.measured import Measured, MeasuredSlide
from indexer.readers.pictures import open_picture
from indexer.readers.registered import within_picture
from indexer.readers.tenx import matrix_files, read_features, read_matrix
from indexer.slides import MppSource, SlideSource

if TYPE_CHECKING:
    import pandas as pd

_EXPERIMENT = "experiment.xenium"
_CELLS = ("cells.parquet", "cells.csv.gz")  # the first where both are there
_MATRIX = ("cell_feature_matrix.h5", "cell_feature_matrix")
_ALIGNMENTS = ("*he_imagealignment.csv", "*he_image_alignment.csv")
_UNALIGNED = (
    "its picture is not used, since it is not in the frame of the cells: export its alignment from Xenium Explorer "
    "into the bundle, as *_he_imagealignment.csv"
)
_CENTRES = ("x_centroid", "y_centroid")


@dataclass(frozen=True, slots=True)
class _Bundle:
    """A bundle, whole or not; `alignment` is used only with a picture."""

    name: str
    folder: Path
    alignment: Path | None

    def part(self, names: tuple[str, ...]) -> Path:
        """The first of several names that is there, else the first."""
        return next((self.folder / name for name in names if (self.folder / name).exists()), self.folder / names[0])

    def check_whole(self) -> None:
        """Raise `JoinError` that names every part that is not there."""
        parts = ((_EXPERIMENT,), _CELLS, _MATRIX)
        missing = [names[0] for names in parts if not self.part(names).exists()]
        if missing:
            raise JoinError(
                f"Slide {self.name}: {self.folder} has no {', '.join(missing)}; expected a whole bundle of the Xenium "
                "analyser. Get the missing files of the same run."
            )


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    if not place.is_dir():
        raise DataError(f"There is no folder {place}; expected a Xenium bundle, or a folder of them.")
    parts = (_EXPERIMENT, *_CELLS, *_MATRIX)
    folders = sorted({path.parent for name in parts for path in place.rglob(name)})
    names = [folder.resolve().name for folder in folders]
    if not folders or len(set(names)) < len(names):
        raise DataError(
            f"{place} holds {len(folders)} folders with {_EXPERIMENT}; expected at least one, and of other names."
        )
    return [_slide(name, folder, around) for name, folder in zip(names, folders, strict=True)]


def _slide(name: str, folder: Path, around: Circumstances) -> MeasuredSlide:
    picture = around.image(name)
    alignment = next((path for pattern in _ALIGNMENTS for path in sorted(folder.glob(pattern))), None)
    bundle = _Bundle(name, folder, None if picture is None else alignment)
    matrix = bundle.part(_MATRIX)
    aligned = None if bundle.alignment is None else picture
    files = (folder / _EXPERIMENT, bundle.part(_CELLS), *matrix_files(matrix), bundle.alignment, aligned)
    slide = MeasuredSlide(
        around.facts(name, technology="10x Xenium"),
        "cell",
        tuple(path for path in files if path is not None and path.is_file()),
        partial(_read, bundle, picture),
        partial(read_features, matrix),
        around.tables,
        aligned,
        find_mpp=partial(_find_mpp, bundle),
    )
    if aligned is not None:
        slide.open_picture = partial(open_picture, aligned)
    return slide


def _read(bundle: _Bundle, picture: Path | None) -> Measured:
    bundle.check_whole()
    found = read_matrix(bundle.part(_MATRIX))
    cells = bundle.part(_CELLS)
    ids, centres_um = _read_cells(cells)
    place = {cell: row for row, cell in enumerate(ids)}
    lost = [cell for cell in found.names if cell not in place]
    if lost:
        raise JoinError(
            f"Slide {bundle.name}: {len(lost)} of {len(found.names)} cells of the counts, such as {lost[0]!r}, are not "
            f"in {cells.name}. Take both from one bundle."
        )
    xy = centres_um[[place[cell] for cell in found.names]] / _pixel_size(bundle)
    cells_of = Measured(found.names, found.counts, found.genes, xy, remarks=found.remarks)
    if picture is None:
        return cells_of
    if bundle.alignment is None:
        return replace(cells_of, remarks=(*found.remarks, _UNALIGNED))
    back = np.linalg.inv(_read_alignment(bundle.alignment))
    aligned = np.column_stack([xy, np.ones(len(xy))]) @ back[:2].T
    said = f"cells lie in pixels of its picture by {bundle.alignment.name}"
    with closing(open_picture(picture)) as image:
        return within_picture(replace(cells_of, xy_px=aligned, remarks=(*found.remarks, said)), image.size_px)


def _read_cells(path: Path) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Ids and centres in micrometres. Raises `JoinError`."""
    try:
        frame = _table(path)
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise JoinError(f"Cannot read {path}: {error}; expected cell_id, {', '.join(_CENTRES)}.") from error
    centres = frame[list(_CENTRES)].to_numpy(dtype=np.float64)
    if not np.isfinite(centres).all():
        raise JoinError(f"{path} has centres that are not finite; expected micrometres.")
    return [cell.decode() if isinstance(cell, bytes) else str(cell) for cell in frame["cell_id"]], centres


def _table(path: Path) -> "pd.DataFrame":
    import pandas as pd

    columns = ["cell_id", *_CENTRES]
    return pd.read_parquet(path, columns=columns) if path.suffix == ".parquet" else pd.read_csv(path, usecols=columns)


def _read_alignment(path: Path) -> npt.NDArray[np.float64]:
    """Matrix `(3, 3)` from pixels of the picture to pixels of the morphology image. Raises `JoinError`."""
    try:
        matrix = np.loadtxt(path, delimiter=",", dtype=np.float64, ndmin=2)
    except (OSError, ValueError) as error:
        raise JoinError(f"Cannot read {path}: {error}; expected a matrix of 3 x 3 numbers.") from error
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or np.linalg.det(matrix[:2, :2]) == 0:
        raise JoinError(f"{path} holds no invertible matrix of 3 x 3 numbers; export the alignment again.")
    return matrix


def _find_mpp(bundle: _Bundle) -> tuple[float, MppSource]:
    size = _pixel_size(bundle)
    if bundle.alignment is None:
        return size, "file"
    return size * float(np.sqrt(abs(np.linalg.det(_read_alignment(bundle.alignment)[:2, :2])))), "file"


def _pixel_size(bundle: _Bundle) -> float:
    """Micrometres per pixel of the morphology image. Raises `JoinError`."""
    path = bundle.folder / _EXPERIMENT
    try:
        size = float(json.loads(path.read_text(encoding="utf-8"))["pixel_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JoinError(
            f"Cannot read pixel_size of {path}: {error!r}; expected micrometres, such as 0.2125."
        ) from error
    if not 0 < size < float("inf"):
        raise JoinError(f"{path} has pixel_size {size}; expected micrometres, such as 0.2125.")
    return size


FORMAT = Format("xenium", "bundle of the Xenium analyser (cells), or a folder of them", _find)
