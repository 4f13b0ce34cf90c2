"""Format `stimage`: STimage-1K4M, `coord/`, `gene_exp/` and `image/` of one technology.

Coordinates are the columns `yaxis` and `xaxis`, in this order, taken by name. The files do not say their micrometres
per pixel; a table has to.
"""

from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from indexer.errors import CountsError, JoinError
from indexer.format import Circumstances, Format, files_at
from indexer.readers.anndata_file import checked_counts
from indexer.readers.dense_table import read_dense, read_header
from indexer.readers.flat_image import FlatImage
from indexer.readers.measured import GeneColumns, Measured, MeasuredSlide
from indexer.readers.pictures import open_picture
from indexer.slides import SlideSource

_COUNTS, _COORDINATES = "_count.csv", "_coord.csv"


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    paths = files_at(place, (_COUNTS,), what="counts of STimage-1K4M, gene_exp/<slide>_count.csv")
    return [_slide(path, around) for path in paths]


def _slide(counts: Path, around: Circumstances) -> MeasuredSlide:
    name = counts.name.removesuffix(_COUNTS)
    root = counts.parent.parent
    coordinates = root / "coord" / f"{name}{_COORDINATES}"
    own = root / "image" / f"{name}.png"
    picture = around.image(name) or (own if own.is_file() else None)
    return MeasuredSlide(
        around.facts(name, technology="Visium HD" if root.name == "VisiumHD" else root.name),
        "spot",
        tuple(path for path in (counts, coordinates, picture) if path is not None and path.is_file()),
        partial(_read, name, counts, coordinates),
        partial(_columns, counts),
        around.tables,
        picture,
        # pictures are named png whatever they are: what is in them decides
        None if picture is None else partial(FlatImage if picture == own else open_picture, picture),
    )


def _read(name: str, path: Path, coordinates: Path) -> Measured:
    if not coordinates.is_file():
        raise JoinError(f"Slide {name} has counts but no {coordinates}; expected coord/ beside gene_exp/.")
    table, found = read_dense(path), read_dense(coordinates)
    missing = [axis for axis in ("xaxis", "yaxis") if axis not in found.columns]
    if missing:
        raise JoinError(
            f"{coordinates} has no column {', '.join(missing)} (it has {', '.join(found.columns)}); expected yaxis, "
            "xaxis and r."
        )
    place = {row: number for number, row in enumerate(found.rows)}
    lost = [row for row in table.rows if row not in place]
    if lost:
        raise JoinError(
            f"Slide {name}: {len(lost)} of {len(table.rows)} spots of the counts, such as {lost[0]!r}, are not in "
            f"{coordinates.name}. Take both of one slide."
        )
    columns = [found.columns.index(axis) for axis in ("xaxis", "yaxis")]
    rows = [place[row] for row in table.rows]
    xy = found.values[rows][:, columns].astype(np.float64)
    return Measured(table.rows, checked_counts(sp.csr_matrix(table.values), path.name), GeneColumns(table.columns), xy)


def _columns(path: Path) -> GeneColumns:
    genes = read_header(path)[1:]
    if not genes:
        raise CountsError(f"{path} names no genes in its header; expected a row for each spot.")
    return GeneColumns(genes)


FORMAT = Format("stimage", "STimage-1K4M: coord, gene_exp, image (spots)", _find)
