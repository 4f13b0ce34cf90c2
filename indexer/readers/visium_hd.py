"""Format `visium-hd`: bins of Space Ranger, of 8 um (`binned_outputs/square_008um`) unless another folder is named."""

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexer.errors import CountsError, DataError, JoinError
from indexer.format import Circumstances, Format
from indexer.readers.measured import Measured, MeasuredSlide
from indexer.readers.pictures import open_picture
from indexer.readers.tenx import matrix_files, read_features, read_matrix
from indexer.readers.visium_spots import read_scale_factors
from indexer.slides import MppSource, SlideSource

_BINS = "square_008um"
_MATRIX = "filtered_feature_bc_matrix"
_POSITIONS = "tissue_positions.parquet"
_PIXELS = ("pxl_col_in_fullres", "pxl_row_in_fullres")


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    if (place / "spatial" / _POSITIONS).is_file():
        bins = [place]
    else:
        bins = sorted(path.parent.parent for path in place.rglob(f"{_BINS}/spatial/{_POSITIONS}"))
    if not bins:
        others = sorted({path.name for path in place.rglob("square_*um") if path.is_dir()})
        there = f"it has {', '.join(others)}" if others else "it has no folder square_*um"
        raise DataError(
            f"{place} holds no {_BINS} with spatial/{_POSITIONS}; {there}; expected `outs` of Visium HD, a folder of "
            "samples, or the folder of one bin size."
        )
    names = [_name(folder) for folder in bins]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{place} holds sample {twice!r} twice; expected folders of other names.")
    return [_slide(name, folder, around) for name, folder in zip(names, bins, strict=True)]


def _slide(name: str, folder: Path, around: Circumstances) -> MeasuredSlide:
    matrix, picture, spatial = _matrix(folder), around.image(name), folder / "spatial"
    files = (*matrix_files(matrix), spatial / _POSITIONS, spatial / "scalefactors_json.json", picture)
    return MeasuredSlide(
        around.facts(name, technology="10x Visium HD"),
        "spot",
        tuple(path for path in files if path is not None and path.is_file()),
        partial(_read, name, folder),
        partial(read_features, matrix),
        around.tables,
        picture,
        None if picture is None else partial(open_picture, picture),
        partial(_find_mpp, spatial),
    )


def _read(name: str, folder: Path) -> Measured:
    matrix = _matrix(folder)
    if not matrix.exists():
        raise CountsError(f"Slide {name} has positions but no {_MATRIX} in {folder.name}; get the bin size whole.")
    found = read_matrix(matrix)
    barcodes, xy = _read_bins(folder / "spatial" / _POSITIONS)
    place = {barcode: row for row, barcode in enumerate(barcodes)}
    lost = [barcode for barcode in found.names if barcode not in place]
    if lost:
        raise JoinError(
            f"Slide {name}: {len(lost)} of {len(found.names)} barcodes of the counts, such as {lost[0]!r}, are not in "
            f"{_POSITIONS}. Take both of one bin size."
        )
    rows = [place[barcode] for barcode in found.names]
    size = read_scale_factors(folder / "spatial").get("bin_size_um")
    others = sorted(path.name for path in folder.parent.glob("square_*um") if path.is_dir() and path != folder)
    said = (f"bins are those of {folder.name}; {', '.join(others)} beside it can be named instead",) if others else ()
    return Measured(found.names, found.counts, found.genes, xy[rows], size, remarks=(*found.remarks, *said))


def _read_bins(path: Path) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Barcodes and centres in pixels of the full-resolution image, `(x, y)`. Raises `JoinError`."""
    import pandas as pd

    try:
        frame = pd.read_parquet(path, columns=["barcode", *_PIXELS])
    except (OSError, ValueError, KeyError) as error:
        raise JoinError(f"Cannot read {path}: {error}; expected barcode, {', '.join(_PIXELS)}.") from error
    xy = frame[list(_PIXELS)].to_numpy(dtype=np.float64)
    if not np.isfinite(xy).all():
        raise JoinError(f"{path} has positions that are not finite; expected pixels.")
    return frame["barcode"].astype(str).tolist(), xy


def _find_mpp(spatial: Path) -> tuple[float, MppSource]:
    found = read_scale_factors(spatial).get("microns_per_pixel", 0.0)
    if not found > 0:
        raise JoinError(f"{spatial}/scalefactors_json.json has no microns_per_pixel; expected those of Visium HD.")
    return found, "file"


def _matrix(folder: Path) -> Path:
    h5 = folder / f"{_MATRIX}.h5"
    return h5 if h5.is_file() else folder / _MATRIX


def _name(folder: Path) -> str:
    """Sample of a folder of bins: above `binned_outputs`, and above `outs` where there is one."""
    parts = [part for part in folder.resolve().parts[:-1] if part not in {"binned_outputs", "outs"}]
    return parts[-1]


FORMAT = Format("visium-hd", "8 um bins of Visium HD, or the folder of another bin size", _find)
