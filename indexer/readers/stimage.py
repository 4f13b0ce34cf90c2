"""Format `stimage`: STimage-1K4M, `coord/`, `gene_exp/` and `image/` of one technology.

Coordinates are the columns `yaxis` and `xaxis`, in this order, taken by name. The files do not say their micrometres
per pixel; it follows from the distance of neighbouring spots, 100 um on Visium and 200 um on legacy arrays. The radius
`r` is not used: of some slides it is wrong.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from indexer.errors import CountsError, JoinError
from indexer.format import Circumstances, Format, files_at
from indexer.readers.anndata_file import checked_counts
from indexer.readers.dense_table import read_dense, read_header
from indexer.readers.flat_image import FlatImage
from indexer.readers.measured import GeneColumns, Measured, MeasuredSlide
from indexer.readers.pictures import open_picture
from indexer.readers.spot_positions import SpotPositions, check_positions, nearest_px, pitch_of
from indexer.slides import MppSource, SlideFacts, SlideSource

_COUNTS, _COORDINATES = "_count.csv", "_coord.csv"


@dataclass(frozen=True, slots=True)
class _Array:
    """Distance of neighbouring spots and diameter of one, micrometres."""

    pitch_um: float
    spot_um: float


_ARRAYS = {"Visium": _Array(100.0, 55.0), "ST": _Array(200.0, 100.0)}
_TECHNOLOGIES = {"Visium": "10x Visium", "VisiumHD": "10x Visium HD", "ST": "Spatial Transcriptomics"}
_PLACE = re.compile(r"(?:^|_)(\d+)x(\d+)$")
_SPECIES = {"Human": "human", "Mouse": "mouse"}


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    paths = files_at(place, (_COUNTS,), what="counts of STimage-1K4M, gene_exp/<slide>_count.csv")
    return [_slide(path, around) for path in paths]


def _slide(counts: Path, around: Circumstances) -> MeasuredSlide:
    name = counts.name.removesuffix(_COUNTS)
    root = counts.parent.parent
    coordinates = root / "coord" / f"{name}{_COORDINATES}"
    own = root / "image" / f"{name}.png"
    picture = around.image(name) or (own if own.is_file() else None)
    array = _ARRAYS.get(root.name)
    return MeasuredSlide(
        _facts(name, root, around),
        "spot",
        tuple(path for path in (counts, coordinates, picture) if path is not None and path.is_file()),
        partial(_read, name, counts, coordinates, None if array is None else array.spot_um),
        partial(_columns, counts),
        around.tables,
        picture,
        # pictures are named png whatever they are: what is in them decides
        None if picture is None else partial(FlatImage if picture == own else open_picture, picture),
        partial(_find_mpp, coordinates, array),
    )


def _facts(name: str, root: Path, around: Circumstances) -> SlideFacts:
    """Facts of a slide; names of the collection start with the species and the organ."""
    facts = around.facts(name, technology=_TECHNOLOGIES.get(root.name, root.name))
    species, _, rest = name.partition("_")
    if name in around.said or species not in _SPECIES:
        return facts
    return replace(facts, species=_SPECIES[species], organ=rest.partition("_")[0].lower() or "unknown")


def _read(name: str, path: Path, coordinates: Path, spot_um: float | None) -> Measured:
    table = read_dense(path)
    rows, xy = _read_coordinates(name, coordinates)
    place = {row: number for number, row in enumerate(rows)}
    lost = [row for row in table.rows if row not in place]
    if lost:
        raise JoinError(
            f"Slide {name}: {len(lost)} of {len(table.rows)} spots of the counts, such as {lost[0]!r}, are not in "
            f"{coordinates.name}. Take both of one slide."
        )
    legacy = _legacy_positions(rows, xy)
    if legacy is not None:
        check_positions(legacy, f"Slide {name}")
    counts = checked_counts(sp.csr_matrix(table.values), path.name)
    centres = xy[[place[row] for row in table.rows]]
    return Measured(table.rows, counts, GeneColumns(table.columns), centres, spot_um)


def _read_coordinates(name: str, path: Path) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
    """Names and centres in pixels of the spots, `(x, y)`. Raises `JoinError`."""
    if not path.is_file():
        raise JoinError(f"Slide {name} has counts but no {path}; expected coord/ beside gene_exp/.")
    found = read_dense(path)
    missing = [axis for axis in ("xaxis", "yaxis") if axis not in found.columns]
    if missing:
        raise JoinError(
            f"{path} has no column {', '.join(missing)} (it has {', '.join(found.columns)}); expected yaxis, xaxis and "
            "r."
        )
    return found.rows, found.values[:, [found.columns.index(axis) for axis in ("xaxis", "yaxis")]].astype(np.float64)


def _find_mpp(coordinates: Path, array: _Array | None) -> tuple[float, MppSource] | None:
    if array is None:
        return None
    rows, xy = _read_coordinates(coordinates.name, coordinates)
    legacy = _legacy_positions(rows, xy)
    pitch = nearest_px(xy) if legacy is None else pitch_of(legacy)
    return None if not pitch else (array.pitch_um / pitch, "pitch")


def _legacy_positions(rows: Sequence[str], xy: npt.NDArray[np.float64]) -> SpotPositions | None:
    """Spots of a legacy array, whose names end in their place on it, `<slide>_<x>x<y>`; `None` for barcodes."""
    places = [_PLACE.search(row) for row in rows]
    found = [(int(place[1]), int(place[2])) for place in places if place is not None]
    return SpotPositions(np.array(found, dtype=np.int64), xy) if found and len(found) == len(rows) else None


def _columns(path: Path) -> GeneColumns:
    genes = read_header(path)[1:]
    if not genes:
        raise CountsError(f"{path} names no genes in its header; expected a row for each spot.")
    return GeneColumns(genes)


FORMAT = Format("stimage", "STimage-1K4M: coord, gene_exp, image (spots)", _find)
