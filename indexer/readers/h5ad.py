"""Format `h5ad`: AnnData in the layout of scanpy and squidpy, spots where it has positions, else cells.

Counts are `layers["counts"]`, else `X`, else `raw` (see `raw_counts`); labels are a column of `obs` that the user
names. Positions are `obsm["spatial"]`, `(x, y)` in pixels of the full-resolution image; array positions in `obs`
(`array_row`, `array_col`) give the mpp of Visium and tell swapped axes.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.errors import JoinError
from indexer.format import Circumstances, Format, files_at, slide_names
from indexer.readers.anndata_file import gene_columns, labels_of, open_h5ad, raw_counts
from indexer.readers.measured import GeneColumns, Kind, Measured, MeasuredSlide
from indexer.readers.pictures import open_picture
from indexer.readers.visium_spots import PITCH_UM, SPOT_UM, VisiumSpots, pitch_px
from indexer.slides import MppSource, SlideFacts, SlideSource

_SPATIAL = "spatial"
_ARRAY = ("array_col", "array_row")


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    paths = files_at(place, (".h5ad",), what="h5ad files")
    return [
        open_h5ad_slide(around.facts(name, technology="unknown"), path, around, around.image(name))
        for name, path in slide_names(paths, place, (".h5ad",)).items()
    ]


def open_h5ad_slide(
    facts: SlideFacts, path: Path, around: Circumstances, picture: Path | None, *, remarks: tuple[str, ...] = ()
) -> MeasuredSlide:
    """The spots or cells of a file, nothing of it read; positions are in pixels of `picture` where there is one."""
    return MeasuredSlide(
        facts,
        _kind(path),
        (path, *([] if picture is None else [picture])),
        partial(_read, path, facts.mpp, around.label_column, remarks),
        partial(_columns, path),
        around.tables,
        picture,
        None if picture is None else partial(open_picture, picture),
        partial(_mpp, path),
    )


def _read(path: Path, given_mpp: float | None, label_column: str | None, remarks: tuple[str, ...]) -> Measured:
    file = open_h5ad(path, backed=None)
    counts, genes, said = raw_counts(file, path.name)
    xy = _positions(file, path)
    found = None if xy is None else _pitch(file, xy, path)
    mpp = given_mpp or (None if found is None else PITCH_UM / found)
    diameter = _diameter_px(file.uns)
    by_diameter = None if diameter is None or mpp is None else diameter * mpp
    return Measured(
        tuple(map(str, file.obs_names)),
        counts,
        genes,
        xy,
        None if xy is None else SPOT_UM if found is not None else by_diameter,
        labels_of(file.obs, label_column, path.name),
        (*remarks, *said),
    )


def _columns(path: Path) -> GeneColumns:
    """Genes of the counts; which of `X` and `raw` holds them is told by what is in `X`, as in `raw_counts`."""
    file = open_h5ad(path, backed="r")
    if file.raw is None or "counts" in file.layers:
        genes = gene_columns(file.var, file.var_names)
        file.file.close()
        return genes
    file.file.close()
    return raw_counts(open_h5ad(path, backed=None), path.name)[1]


def _mpp(path: Path) -> tuple[float, MppSource] | None:
    file = open_h5ad(path, backed="r")
    xy = _positions(file, path)
    found = None if xy is None else _pitch(file, xy, path)
    file.file.close()
    return None if found is None else (PITCH_UM / found, "pitch")


def _pitch(file: Any, xy: npt.NDArray[np.float64], path: Path) -> float | None:
    """Pixels between neighbouring spots, where the file has array positions of Visium. Raises `JoinError`."""
    if not all(name in file.obs for name in _ARRAY):
        return None
    array = np.column_stack([np.asarray(file.obs[name], dtype=np.float64) for name in _ARRAY])
    if not (array.sum(axis=1) % 2 == 0).all():  # no hexagonal array: bins, or legacy spots
        return None
    return pitch_px(VisiumSpots(tuple(map(str, file.obs_names)), array, xy), path.name)


def _positions(file: Any, path: Path) -> npt.NDArray[np.float64] | None:
    if _SPATIAL not in file.obsm:
        return None
    libraries = file.uns.get(_SPATIAL)
    if isinstance(libraries, dict) and len(libraries) > 1:
        raise JoinError(
            f"{path.name} holds {len(libraries)} sections ({', '.join(map(str, libraries))}), whose positions overlap; "
            "expected one. Write one file a section, by obs['library_id']."
        )
    xy = np.asarray(file.obsm[_SPATIAL], dtype=np.float64)
    if xy.ndim != 2 or xy.shape[1] != 2 or not np.isfinite(xy).all():
        raise JoinError(
            f"{path.name} has positions of shape {xy.shape} in obsm[{_SPATIAL!r}]; expected finite (n, 2), x before y, "
            "in pixels of the full-resolution image."
        )
    return xy


def _diameter_px(uns: Any) -> float | None:
    libraries = uns.get(_SPATIAL)
    for library in libraries.values() if isinstance(libraries, dict) else ():
        factors = library.get("scalefactors", {}) if isinstance(library, dict) else {}
        if "spot_diameter_fullres" in factors:
            return float(factors["spot_diameter_fullres"])
    return None


def _kind(path: Path) -> Kind:
    """What the rows are, from the names in the file alone; of a damaged file cells, until reading it fails."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return "spot" if f"obsm/{_SPATIAL}" in file else "cell"
    except (OSError, RuntimeError):  # h5py raises the second for damage within
        return "cell"


FORMAT = Format("h5ad", "AnnData of scanpy or squidpy (spots with obsm['spatial'], else cells)", _find, labels=True)
