"""Format `spatialdata`: zarr stores of SpatialData, a slide for each table and each element that it annotates.

Rows are placed by the centres of the shapes they annotate, taken through the coordinate system that shapes and picture
share into pixels of the picture: the largest of three 8-bit channels. The stores do not say what a pixel measures;
array positions in `obs` tell it for Visium, a table has to for others.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.errors import CountsError, DataError, JoinError
from indexer.format import Circumstances, Format
from indexer.readers.anndata_file import gene_columns, labels_of, raw_counts
from indexer.readers.frames import Matrix, moved, to_systems
from indexer.readers.measured import GeneColumns, Kind, Measured, MeasuredSlide
from indexer.readers.ngff_image import NgffImage
from indexer.readers.registered import within_picture
from indexer.readers.spatialdata_shapes import read_centres
from indexer.readers.spatialdata_store import (
    AnnotatedRows,
    group_attributes,
    image_metadata,
    is_store,
    largest_picture,
    rows_of,
    shared_system,
)
from indexer.readers.visium_spots import PITCH_UM, SPOT_UM, VisiumSpots, pitch_px
from indexer.slides import MppSource, SlideSource

_OTHER = "the picture of the table is not used, since positions are in pixels of the store's own"
_ARRAY = ("array_col", "array_row")
_CELL_SHAPES = ("cell_circles", "cell_boundaries")  # of cells that the table knows by a mask


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    if not place.is_dir():
        raise DataError(f"There is no folder {place}; expected a zarr store of SpatialData, or a folder of them.")
    try:
        import zarr  # noqa: F401 - whether it is there
    except ImportError as error:
        raise DataError(f"{place} is read by the package zarr: pip install 'histoseek[spatial]'.") from error
    stores = [place] if is_store(place) else sorted(path for path in place.rglob("*.zarr") if is_store(path))
    found: list[SlideSource] = [_slide(rows, around) for store in stores for rows in rows_of(store)]
    if not found:
        raise DataError(f"{place} holds no zarr store with tables; expected SpatialData.")
    return found


def _slide(rows: AnnotatedRows, around: Circumstances) -> MeasuredSlide:
    return MeasuredSlide(
        around.facts(rows.name, technology="unknown"),
        _kind(rows),
        _files(rows),
        partial(_read, rows, around.label_column, has_other=around.image(rows.name) is not None),
        partial(_columns, rows),
        around.tables,
        open_picture=partial(_open, rows),
        find_mpp=partial(_find_mpp, rows),
    )


def _read(rows: AnnotatedRows, label_column: str | None, *, has_other: bool) -> Measured:
    table = _open_table(rows)
    counts, genes, said = raw_counts(table, rows.where)
    xy, remarks = _positions(rows, table)
    spot_um = SPOT_UM if _pitch(rows, table, xy) is not None else None
    labels = labels_of(table.obs, label_column, rows.where)
    other = (_OTHER,) if has_other else ()
    found = Measured(tuple(map(str, table.obs_names)), counts, genes, xy, spot_um, labels, (*said, *remarks, *other))
    picture = _open(rows) if _kind(rows) == "cell" else None  # spots outside the picture are a fault, cells are not
    return found if picture is None else within_picture(found, picture.size_px)


def _columns(rows: AnnotatedRows) -> GeneColumns:
    if (rows.table / "raw" / "var").is_dir() and not (rows.table / "layers" / "counts").is_dir():
        return raw_counts(_open_table(rows), rows.where)[1]
    table = _open_table(rows, with_counts=False)
    return gene_columns(table.var, table.var_names)


def _find_mpp(rows: AnnotatedRows) -> tuple[float, MppSource] | None:
    if not (rows.table / "obs" / _ARRAY[0]).exists():
        return None
    table = _open_table(rows, with_counts=False)
    pitch = _pitch(rows, table, _positions(rows, table)[0])
    return None if pitch is None else (PITCH_UM / pitch, "pitch")


def _pitch(rows: AnnotatedRows, table: Any, xy: npt.NDArray[np.float64]) -> float | None:
    """Pixels between neighbouring spots of Visium, by their array positions. Raises `JoinError` for swapped axes."""
    if not all(name in table.obs for name in _ARRAY):
        return None
    array = np.column_stack([np.asarray(table.obs[name], dtype=np.float64) for name in _ARRAY])
    if not (array.sum(axis=1) % 2 == 0).all():  # bins have no hexagonal array
        return None
    return pitch_px(VisiumSpots(tuple(map(str, table.obs_names)), array, xy), rows.where)


def _open(rows: AnnotatedRows) -> NgffImage | None:
    picture = largest_picture(rows, _own_systems(rows))
    return None if picture is None else NgffImage(picture.path, picture.attributes)


def _positions(rows: AnnotatedRows, table: Any) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Centres of the rows in pixels of the picture, else in a coordinate system of the shapes, and remarks."""
    shapes, instances = _shapes(rows, table)
    names, own = read_centres(shapes)
    place = {name: row for row, name in enumerate(names)}
    lost = [name for name in instances if name not in place]
    if lost:
        raise JoinError(
            f"{rows.where}: {len(lost)} of {len(instances)} rows of {rows.table.name}, such as {lost[0]!r}, are not "
            f"among the {len(names)} shapes of {shapes.name}. Write the store again, table and shapes together."
        )
    xy = own[[place[name] for name in instances]]
    systems = _own_systems(rows, shapes)
    picture = largest_picture(rows, systems)
    if picture is None:
        first = "global" if "global" in systems else next(iter(systems))
        return moved(systems[first], xy), (f"no picture of three 8-bit channels; positions are those of {first!r}",)
    shared = shared_system(systems, picture)
    return moved(picture.from_system[shared] @ systems[shared], xy), (f"its picture is {picture.path.name}",)


def _shapes(rows: AnnotatedRows, table: Any) -> tuple[Path, list[str]]:
    """Element with a shape for each row, and the name of each row's shape there."""
    key = table.uns.get("spatialdata_attrs", {}).get("instance_key")
    element = rows.store / "shapes" / rows.region
    if element.is_dir():
        if key not in table.obs:
            raise JoinError(f"{rows.where}: obs has no column {key!r}, which {rows.table.name} names as instance_key.")
        return element, [str(name) for name in table.obs[key]]
    cells = next((path for name in _CELL_SHAPES if (path := rows.store / "shapes" / name).is_dir()), None)
    if cells is None or "cell_id" not in table.obs:
        raise JoinError(
            f"{rows.where}: {rows.region!r}, which {rows.table.name} annotates, is not among the shapes, and its cells "
            f"have no {' or '.join(_CELL_SHAPES)}; expected shapes. Write the cells of the mask as shapes."
        )
    return cells, [str(name) for name in table.obs["cell_id"]]


def _own_systems(rows: AnnotatedRows, shapes: Path | None = None) -> dict[str, Matrix]:
    element = shapes or rows.store / "shapes" / rows.region
    if shapes is None and not element.is_dir():
        element = next((path for name in _CELL_SHAPES if (path := rows.store / "shapes" / name).is_dir()), element)
    found = to_systems(group_attributes(element).get("coordinateTransformations", ()), rows.where)
    if not found:
        raise JoinError(f"{rows.where}: {element.name} is in no coordinate system; expected coordinateTransformations.")
    return found


def _open_table(rows: AnnotatedRows, *, with_counts: bool = True) -> Any:
    """Rows of the table that annotate the element. Raises `CountsError` or `JoinError`."""
    import anndata
    import zarr

    try:
        if with_counts:
            table = anndata.read_zarr(rows.table)
        else:
            group = zarr.open_group(rows.table, mode="r")
            parts = {name: anndata.io.read_elem(group[name]) for name in ("obs", "var", "uns")}
            table = anndata.AnnData(**parts)
    except Exception as error:  # a damaged store raises whatever it leads anndata and zarr into
        raise CountsError(
            f"Cannot read {rows.table}: {error}. Expected a table of SpatialData; get it again."
        ) from error
    attributes = table.uns.get("spatialdata_attrs", {})
    key = attributes.get("region_key")
    if key not in table.obs:
        raise JoinError(f"{rows.where}: obs has no column {key!r}, which {rows.table.name} names as region_key.")
    mine = (table.obs[key].astype(str) == rows.region).to_numpy()
    if not mine.any():
        raise JoinError(f"{rows.where}: no row of {rows.table.name} annotates {rows.region!r}, which it says it does.")
    return table[mine].copy()


def _kind(rows: AnnotatedRows) -> Kind:
    is_spots = (rows.table / "obs" / _ARRAY[0]).exists() or any(word in rows.region for word in ("spot", "square_"))
    return "spot" if is_spots else "cell"


def _files(rows: AnnotatedRows) -> tuple[Path, ...]:
    """Table, shapes and what pictures say of themselves; not their pixels, which are thousands of files."""
    folders = (rows.table, rows.store / "shapes")
    found = [path for folder in folders if folder.is_dir() for path in sorted(folder.rglob("*")) if path.is_file()]
    return (*found, *image_metadata(rows.store))


FORMAT = Format("spatialdata", "zarr stores of SpatialData (spots or cells)", _find, labels=True)
