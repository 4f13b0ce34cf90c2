"""Stores of SpatialData on disk: which tables annotate what, which picture goes with it, and the metadata of groups."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from indexer.errors import SlideError
from indexer.readers.frames import Matrix, to_systems
from indexer.readers.ngff_image import multiscales, open_array

_METADATA = ("zarr.json", ".zattrs")  # of zarr 3 and 2
_BINS = "square_008um"


@dataclass(frozen=True, slots=True)
class AnnotatedRows:
    """Rows of a table that annotate one element of a store."""

    name: str
    store: Path
    table: Path
    region: str

    @property
    def where(self) -> str:
        """How messages name it."""
        return f"Slide {self.name}"


@dataclass(frozen=True, slots=True)
class StorePicture:
    """A picture of a store, and the matrix from each coordinate system into its pixels."""

    path: Path
    attributes: Mapping[str, Any]
    from_system: Mapping[str, Matrix]
    size: int


def rows_of(store: Path) -> list[AnnotatedRows]:
    """What the tables of a store annotate; of bins of several sizes those of 8 um."""
    tables = sorted(path for path in (store / "tables").iterdir() if path.is_dir() and not path.name.startswith("."))
    bins = [path for path in tables if path.name.endswith(_BINS)]
    tables = [path for path in tables if "square_" not in path.name or path in bins] if bins else tables
    found = [(table, region) for table in tables for region in _regions(table)]
    name = store.name.removesuffix(".zarr")
    if len(found) == 1:
        return [AnnotatedRows(name, store, *found[0])]
    return [AnnotatedRows(f"{name}_{region}", store, table, region) for table, region in found]


def largest_picture(rows: AnnotatedRows, systems: Mapping[str, Matrix]) -> StorePicture | None:
    """The largest picture of red, green and blue that shares a coordinate system with the shapes."""
    folder = rows.store / "images"
    found = [_described(path, rows) for path in sorted(folder.iterdir())] if folder.is_dir() else []
    usable = [one for one in found if one is not None and systems.keys() & one.from_system.keys()]
    return max(usable, key=lambda one: one.size, default=None)


def shared_system(systems: Mapping[str, Matrix], picture: StorePicture) -> str:
    """Coordinate system of shapes and picture; `global` before others, which agree with it or are crops of it."""
    both = sorted(systems.keys() & picture.from_system.keys())
    return "global" if "global" in both else both[0]


def group_attributes(group: Path) -> dict[str, Any]:
    """What a group says of itself. Raises `SlideError` if its metadata cannot be read."""
    for name in _METADATA:
        path = group / name
        if not path.is_file():
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SlideError(f"Cannot read {path}: {error}; expected the metadata of a zarr group.") from error
        found = content.get("attributes", {}) if name == "zarr.json" else content
        return found if isinstance(found, dict) else {}
    return {}


def is_store(path: Path) -> bool:
    """Whether a folder is a zarr group with tables."""
    return (path / "tables").is_dir() and any((path / name).is_file() for name in (*_METADATA, ".zgroup"))


def _described(path: Path, rows: AnnotatedRows) -> StorePicture | None:
    """A picture by its metadata; `None` for what is no 8-bit RGB."""
    try:
        attributes = group_attributes(path)
        scales = multiscales(attributes)
        array = open_array(path / str(scales["datasets"][0]["path"]))
        axes = [str(axis["name"]) for axis in scales["axes"]]
        is_rgb = array.shape[axes.index("c")] == 3 and array.dtype == np.uint8
    except (KeyError, IndexError, ValueError, OSError, TypeError):
        return None  # told as a store without a picture
    if not is_rgb:
        return None
    systems = to_systems(scales.get("coordinateTransformations", ()), rows.where)
    into_pixels = {name: np.linalg.inv(one).astype(np.float64) for name, one in systems.items()}
    return StorePicture(path, attributes, into_pixels, array.size)


def _regions(table: Path) -> list[str]:
    region = group_attributes(table).get("region") or []
    return [region] if isinstance(region, str) else [str(one) for one in region]


def image_metadata(store: Path) -> list[Path]:
    """Files in which the pictures of a store say what they are."""
    return [path for name in _METADATA for path in sorted((store / "images").glob(f"*/{name}"))]
