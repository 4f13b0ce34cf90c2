"""Format `visium`: the `outs` folder of Space Ranger, of any version that writes spots.

Its frame is the full-resolution image, which is not in the folder: a slides table may name it. Else the small pictures
beside the positions stand in, in the same frame, as long as they are sharp enough to show tissue.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from indexer.datasets.manifest import Role
from indexer.errors import CountsError, DataError, JoinError, SlideError
from indexer.format import Circumstances, Format
from indexer.readers.flat_image import FlatImage
from indexer.readers.measured import GeneColumns, Measured, MeasuredSlide
from indexer.readers.pictures import open_picture
from indexer.readers.scaled_image import ScaledImage
from indexer.readers.tenx import matrix_files, read_features, read_matrix
from indexer.readers.visium_spots import (
    PITCH_UM,
    SPOT_UM,
    find_mpp,
    pitch_px,
    positions_file,
    read_scale_factors,
    read_spots,
)
from indexer.slides import SlideImage, SlideSource

#: Of a data set of the manifest.
ROLES: tuple[Role, ...] = ("counts", "barcodes", "features", "spots", "scale_factors", "image")
#: A picture with more micrometres per pixel shows no tissue that an encoder could tell: a 100 um field has 20 pixels.
MAX_PICTURE_MPP = 5.0

_MATRIX = "filtered_feature_bc_matrix"
_MAX_MPP_ERROR = 0.25
_SMALL = ("hires", "lowres")


def find(place: Path, around: Circumstances) -> list[SlideSource]:
    """Slides of an `outs` folder, or of a folder of samples that each have one. Raises `DataError` if there is none."""
    if not place.is_dir():
        raise DataError(f"There is no folder {place}; expected `outs` of Space Ranger, or a folder of samples.")
    folders = [place] if _is_outs(place) else sorted(path for path in place.rglob("*") if _is_outs(path))
    if not folders:
        raise DataError(f"{place} holds neither `spatial` nor `{_MATRIX}`; expected `outs` of Space Ranger.")
    return [open_outs(name, folder, around) for name, folder in _names(folders).items()]


def outs_of(files: Mapping[Role, Path]) -> Path:
    """Folder of the files of one slide by role. Raises `KeyError` for a missing role, `DataError` if they are apart."""
    outs = files["spots"].parent.parent
    apart = [path for path in (files["counts"], files["scale_factors"]) if path.parent.parent != outs]
    if apart:
        raise DataError(f"{apart[0]} does not lie in {outs}; expected counts and positions of one `outs` folder.")
    return outs


def open_outs(name: str, outs: Path, around: Circumstances) -> MeasuredSlide:
    """The slide of one `outs` folder, nothing of it read."""
    spatial = outs / "spatial"
    given = around.image(name)
    facts = around.facts(name, technology="10x Visium")
    small = [spatial / f"tissue_{size}_image.png" for size in _SMALL]
    picture = given or next((path for path in small if path.is_file()), None)
    beside = (*spatial.glob("tissue_positions*.csv"), *spatial.glob("scalefactors_json.json"))
    matrix = _matrix(outs)
    slide = MeasuredSlide(
        facts,
        "spot",
        (*(() if matrix is None else matrix_files(matrix)), *sorted(beside), *([picture] if picture else [])),
        partial(_read, name, outs, facts.mpp),
        partial(_columns, outs),
        around.tables,
        given,  # a small picture is of another frame: nothing may be cut from it by the index's positions
        find_mpp=partial(find_mpp, spatial, f"Slide {name}"),
    )
    if given is not None:
        slide.open_picture = partial(open_picture, given)
    elif picture is not None:
        slide.open_picture = partial(_open_small, spatial, picture, slide)
    return slide


def _read(name: str, outs: Path, given_mpp: float | None) -> Measured:
    """Counts of the spots under tissue with their centres."""
    where = f"Slide {name}"
    found = read_matrix(_needed_matrix(outs))
    path = positions_file(outs / "spatial")
    spots = read_spots(path)
    pitch = pitch_px(spots, where)
    place = {barcode: row for row, barcode in enumerate(spots.barcodes)}
    lost = [barcode for barcode in found.names if barcode not in place]
    if lost:
        raise JoinError(
            f"{where}: {len(lost)} of {len(found.names)} barcodes of the counts, such as {lost[0]!r}, are not among "
            f"the {len(place)} of {path.name}, such as {spots.barcodes[0]!r}. Take both from one run."
        )
    if given_mpp is not None and pitch is not None and abs(given_mpp * pitch / PITCH_UM - 1) > _MAX_MPP_ERROR:
        raise JoinError(
            f"{where} has mpp {given_mpp:g}, but its spots, {PITCH_UM:.0f} um apart, lie {pitch:.1f} px apart, which "
            f"makes {PITCH_UM / pitch:.3g}. Correct the mpp, or leave it out."
        )
    rows = np.array([place[barcode] for barcode in found.names], dtype=np.int64)
    return Measured(
        found.names, found.counts, found.genes, spots.xy_px[rows], SPOT_UM, remarks=(*found.remarks, *_picture(outs))
    )


def _columns(outs: Path) -> GeneColumns:
    return read_features(_needed_matrix(outs))


def _open_small(spatial: Path, picture: Path, slide: MeasuredSlide) -> SlideImage | None:
    """The picture in the frame of the full-resolution image; `None` if it is too coarse, which a remark tells."""
    size = "hires" if "hires" in picture.name else "lowres"
    factors = read_scale_factors(spatial)
    factor = factors.get(f"tissue_{size}_scalef", 0.0)
    if not factor > 0:
        raise SlideError(f"{spatial} has no tissue_{size}_scalef above 0 for {picture.name}; get the folder again.")
    mpp = slide.facts.mpp
    if mpp is None or mpp / factor > MAX_PICTURE_MPP:
        slide.add_remark(
            f"{picture.name} has {'an unknown number of' if mpp is None else f'{mpp / factor:.1f}'} um per pixel, more "
            f"than {MAX_PICTURE_MPP:g}, and is not used; name the full-resolution image in the column `image` of "
            "--slides"
        )
        return None
    slide.add_remark(
        f"{picture.name} with {mpp / factor:.1f} um per pixel stands in for the full-resolution image, which the "
        "column `image` of --slides can name"
    )
    return ScaledImage(FlatImage(picture), factor)


def _picture(outs: Path) -> tuple[str, ...]:
    found = any((outs / "spatial" / f"tissue_{size}_image.png").is_file() for size in _SMALL)
    return () if found else ("no picture beside the positions",)


def _is_outs(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and (_matrix(path) is not None or _has_positions(path))


def _has_positions(path: Path) -> bool:
    return any((path / "spatial").glob("tissue_positions*.csv"))


def _matrix(outs: Path) -> Path | None:
    """The matrix, h5 before mtx; downloads of 10x put the sample's name before it."""
    h5 = sorted(outs.glob(f"*{_MATRIX}.h5"))
    return h5[0] if h5 else (outs / _MATRIX if (outs / _MATRIX).is_dir() else None)


def _needed_matrix(outs: Path) -> Path:
    found = _matrix(outs)
    if found is None:
        raise CountsError(f"{outs} has positions but no {_MATRIX} or {_MATRIX}.h5; expected a whole `outs` folder.")
    return found


def _names(folders: list[Path]) -> dict[str, Path]:
    """Name of each sample: its folder's, or that of the folder above an `outs`. Raises `DataError` if two are one."""
    names: dict[str, Path] = {}
    for folder in folders:
        resolved = folder.resolve()
        name = resolved.parent.name if resolved.name == "outs" else resolved.name
        if name in names:
            raise DataError(f"{names[name]} and {folder} are both sample {name!r}; rename one of the folders.")
        names[name] = folder
    return names


FORMAT = Format("visium", "`outs` of Space Ranger (spots), or a folder of samples", find)
