"""Reader of tile features that LazySlide made: the zarr store of a slide, as wsidata lays it out.

`shapes/<tiles>/shapes.parquet` has the top-left corner of each tile in level-0 pixels, `tables/<model>_<tiles>` a row
of features for each, and the attributes of the store say how large tiles are and what a pixel measures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.errors import FeaturesError
from indexer.readers.features import Attribute, TileFeatures, tile_features

#: LazySlide's names of encoders that the catalogue writes otherwise.
LAZYSLIDE_NAMES = {
    "uni2": "uni2-h",
    "conch_v1.5": "conch-v1.5",
    "h-optimus-0": "h-optimus-0",
    "hoptimus0": "h-optimus-0",
}
_METADATA = ("zarr.json", ".zattrs", ".zgroup", ".zmetadata")
_TILES = "tiles"


@dataclass(frozen=True, slots=True)
class LazySlideStore:
    """One store.

    Attributes
    ----------
    path : Path
        The folder, `<slide>.zarr`.
    encoder : str or None
        What made the features that are wanted; may be left out of a store with those of one encoder.
    """

    path: Path
    encoder: str | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that decide what is read."""
        table, tiles = self._table()
        parts = (self.path / "tables" / table, self.path / "shapes" / tiles)
        below = (path for part in parts for path in sorted(part.rglob("*")) if path.is_file())
        return (*(self.path / name for name in _METADATA if (self.path / name).is_file()), *below)

    def mpp(self) -> float | None:
        """Micrometres per level-0 pixel, as LazySlide took it. Raises `FeaturesError`."""
        properties = _mapping(_attributes(self.path).get("slide_properties"))
        return _positive(properties.get("mpp"))

    def tile_um(self) -> float | None:
        """Side of a tile in micrometres as it was asked for. Raises `FeaturesError`."""
        spec = self._spec(self._table()[1])
        width, mpp = _positive(spec.get("width")), _positive(spec.get("mpp"))
        return None if width is None or mpp is None else width * mpp

    def read(self) -> TileFeatures:
        """Tiles of the slide.

        Raises
        ------
        FeaturesError
            If the store is damaged, lacks a part, or its parts do not fit together.
        SpaceMismatchError
            If the features have another length than those of the encoder the table is named after.
        """
        table, tiles = self._table()
        spec = self._spec(tiles)
        width, height = _positive(spec.get("width")), _positive(spec.get("height"))
        downsample = _positive(spec.get("base_downsample", 1.0))
        if width is None or height is None or downsample is None:
            raise FeaturesError(
                f"{self.path} does not say how large its tiles {tiles!r} are; tile it with LazySlide 0.6."
            )
        if width != height:
            raise FeaturesError(f"{self.path} has tiles of {width:g} x {height:g} pixels; expected squares.")
        ids, corners = self._corners(tiles)
        named, features = self._features(table, len(ids))
        place = {one: row for row, one in enumerate(ids)}
        if len(place) < len(ids) or set(named) != set(place) or len(named) != len(ids):
            raise FeaturesError(
                f"{self.path} does not fit together: tiles of table {table!r} are not those of shapes {tiles!r}. Make "
                "the features again after tiling."
            )
        attributes: dict[str, Attribute] = {"overlap": width - (_positive(spec.get("stride_width")) or width)}
        name = table.removesuffix(f"_{tiles}")
        return tile_features(
            self.path,
            features,
            corners[[place[one] for one in named]],
            side_px=float(int(width * downsample)),
            attributes=attributes,
            encoder=LAZYSLIDE_NAMES.get(name, name),
        )

    def _table(self) -> tuple[str, str]:
        """Names of the table of features, and of the shapes it is of."""
        shapes = {path.name for path in (self.path / "shapes").glob("*") if path.is_dir()}
        tables = sorted(path.name for path in (self.path / "tables").glob("*") if path.is_dir())
        found = {table: tiles for table in tables for tiles in shapes if table.endswith(f"_{tiles}")}
        found = {table: tiles for table, tiles in found.items() if tiles.startswith(_TILES)}
        if self.encoder is not None:
            wanted = {self.encoder, *(own for own, name in LAZYSLIDE_NAMES.items() if name == self.encoder)}
            found = {table: tiles for table, tiles in found.items() if table.removesuffix(f"_{tiles}") in wanted}
        if len(found) != 1:
            listed, whose = ", ".join(tables) or "none", f" of {self.encoder}" if self.encoder else ""
            raise FeaturesError(
                f"{self.path} has {len(found)} tables of features{whose} (tables: {listed}); expected one. Name what "
                "made the features you want with --features-encoder."
            )
        ((table, tiles),) = found.items()
        return table, tiles

    def _spec(self, tiles: str) -> Mapping[str, Any]:
        return _mapping(_mapping(_attributes(self.path).get("tile_spec")).get(tiles))

    def _corners(self, tiles: str) -> tuple[list[str], npt.NDArray[np.float64]]:
        import pandas as pd

        path = self.path / "shapes" / tiles / "shapes.parquet"
        try:
            frame = pd.read_parquet(path, columns=["tile_id", "x", "y"])
        except (OSError, ValueError, KeyError) as error:
            raise FeaturesError(f"Cannot read {path}: {error}; expected tiles as LazySlide writes them.") from error
        return [str(one) for one in frame["tile_id"]], frame[["x", "y"]].to_numpy(dtype=np.float64)

    def _features(self, table: str, n_tiles: int) -> tuple[list[str], npt.NDArray[np.float32]]:
        """Tile of each row, and the rows."""
        from anndata.io import read_elem

        path = self.path / "tables" / table
        try:
            group = _group(path)
            values: Any = group["X"]
            shape = tuple(getattr(values, "shape", ()))
            fits = len(shape) == 2 and shape[0] == n_tiles
            names = [str(one) for one in read_elem(group["obs"])["tile_id"]] if fits else []
            features = np.asarray(values[:], dtype=np.float32) if fits else np.empty((0, 0), np.float32)
        except FeaturesError:
            raise
        except Exception as error:  # a damaged store raises whatever it leads zarr and anndata into
            raise FeaturesError(f"{path} is damaged or no table of LazySlide ({error!r}); make it again.") from error
        if not fits:
            raise FeaturesError(f"{path} has features of shape {shape}; expected (n, dim) for {n_tiles} tiles.")
        n_empty = int((~features.any(axis=1)).sum())
        if n_empty:  # zarr reads a chunk that is not there as zeros
            raise FeaturesError(
                f"{path} has nothing but zeros for {n_empty:,} of {n_tiles:,} tiles: chunks of it are missing. Get the "
                "store again."
            )
        return names, features


def is_store(path: Path) -> bool:
    """Whether a folder is a zarr store."""
    return path.is_dir() and any((path / name).is_file() for name in _METADATA)


def _group(path: Path) -> Any:
    try:
        import zarr
    except ModuleNotFoundError as error:
        raise FeaturesError(f"{path} needs the package zarr: pip install 'histoseek[spatial]'.") from error
    return zarr.open_group(str(path), mode="r")


def _attributes(path: Path) -> Mapping[str, Any]:
    try:
        return dict(_group(path).attrs)
    except FeaturesError:
        raise
    except Exception as error:  # as above
        raise FeaturesError(f"{path} is damaged or no zarr store ({error!r}); get it again.") from error


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _positive(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 < value < float("inf") else None
