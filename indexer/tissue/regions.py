"""Regions that somebody drew on a slide: GeoJSON as QuPath and LazySlide write it, to keep, drop or name tissue by."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.errors import RegionError
from indexer.slides import Pixels
from indexer.tissue.shares import tissue_share

Points = npt.NDArray[np.float64]
#: A polygon: its outline, then its holes, each float64 (n, 2) of `(x, y)` in level-0 pixels.
Polygon = tuple[Points, ...]

#: Classes that are dropped whatever else is said; `Ignore*` is QuPath's own.
DROPPED = ("drop", "ignore", "ignore*")
#: Classes that keep tissue without saying what it is; `Region*` is QuPath's own.
PLAIN = ("keep", "region", "region*")
_OBJECTS = ("annotation", "")  # QuPath's objectType; cells and tiles are no regions
_OUTSIDE = 0.02  # of the longer side: an outline may be drawn a little over the edge
_RASTER_PER_TILE = 8
_MAX_RASTER_PX = 8_192
_INSIDE = 0.5  # share of a tile that must lie in a region for its name


@dataclass(frozen=True, slots=True)
class Region:
    """One annotation: its class, `None` where it has none that says what the tissue is, and its polygons."""

    name: str | None
    polygons: tuple[Polygon, ...]


@dataclass(frozen=True, slots=True)
class Regions:
    """What is to be kept of a slide, and what is to be dropped; with nothing to keep, tissue is found as ever."""

    keep: tuple[Region, ...]
    drop: tuple[Region, ...]


def read_regions(path: Path, *, drop: Collection[str] = ()) -> Regions:
    """Regions of a GeoJSON file.

    Parameters
    ----------
    path : Path
        A FeatureCollection, a list of features, or one feature. Polygons and multi-polygons with holes are read, in
        level-0 pixels; points, lines, and detections are not.
    drop : collection of str
        Classes to drop besides `DROPPED`, whatever their capitals; all others are kept.

    Raises
    ------
    RegionError
        If the file is no such GeoJSON, or has no region.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise RegionError(f"Cannot read the regions {path}: {error}; expected GeoJSON as of QuPath.") from error
    return parse_regions(text, path, drop=drop)


def parse_regions(text: str | bytes, path: Path, *, drop: Collection[str] = ()) -> Regions:
    """Regions of GeoJSON text, as `read_regions`; `path` is what the text is called when something is wrong."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RegionError(f"Cannot read the regions {path}: {error}; expected GeoJSON as of QuPath.") from error
    dropped = {name.casefold() for name in (*DROPPED, *drop)}
    keep: list[Region] = []
    left_out: list[Region] = []
    for number, feature in enumerate(_features(content, path), start=1):
        if (found := _region(feature, f"{path.name}, feature {number}")) is None:
            continue
        (left_out if (found.name or "").casefold() in dropped else keep).append(found)
    if not keep and not left_out:
        raise RegionError(f"{path} has no polygon; draw the regions as areas in QuPath and export them as GeoJSON.")
    plain = [Region(None, one.polygons) if (one.name or "").casefold() in PLAIN else one for one in keep]
    return Regions(tuple(plain), tuple(left_out))


def check_regions(regions: Regions, size_px: tuple[int, int], *, slide: str) -> None:
    """Raise `RegionError` unless all outlines lie on a slide of `(width, height)` level-0 pixels."""
    spare = _OUTSIDE * max(size_px)
    for region in (*regions.keep, *regions.drop):
        for outline in (polygon[0] for polygon in region.polygons):
            low, high = outline.min(axis=0), outline.max(axis=0)
            if (low < -spare).any() or (high > np.array(size_px) + spare).any():
                raise RegionError(
                    f"Slide {slide}: region {region.name or 'without class'!r} reaches from x {low[0]:.0f}, y "
                    f"{low[1]:.0f} to x {high[0]:.0f}, y {high[1]:.0f}; expected within {size_px[0]} x {size_px[1]}. "
                    "Export it in level-0 pixels of this very slide, x before y."
                )


def region_shares(
    regions: Sequence[Region],
    centres: Points,
    side_px: float,
    size_px: tuple[int, int],
    *,
    without: Sequence[Region] = (),
) -> npt.NDArray[np.float64]:
    """Share of each tile that lies in the regions, and not in some others.

    Parameters
    ----------
    regions : sequence of Region
        Taken together.
    centres : float64 (n, 2)
        Of square tiles, level-0 pixels.
    side_px : float
        Side of a tile.
    size_px : tuple of int
        `(width, height)` of the slide.
    without : sequence of Region
        What lies in these does not count.

    Returns
    -------
    float64 (n,)
        In [0, 1], to about a sixteenth of a tile's side along each edge.
    """
    pixel = max(side_px / _RASTER_PER_TILE, max(size_px) / _MAX_RASTER_PX)
    shape = (int(np.ceil(size_px[1] / pixel)), int(np.ceil(size_px[0] / pixel)))
    raster = _raster(regions, shape, pixel)
    if without:
        raster &= ~_raster(without, shape, pixel)
    return tissue_share(raster, centres / pixel, np.full(2, side_px / pixel))


def region_names(
    regions: Sequence[Region], centres: Points, side_px: float, size_px: tuple[int, int]
) -> tuple[str | None, ...]:
    """Class of each tile: of the smallest region that holds half of it, else `None`; see `region_shares`."""
    names: list[str | None] = [None] * len(centres)
    for region in sorted(regions, key=_area, reverse=True):
        inside = region_shares([region], centres, side_px, size_px) >= _INSIDE
        for place in np.flatnonzero(inside):
            names[place] = region.name or names[place]
    return tuple(names)


def _features(content: Any, path: Path) -> list[Any]:
    if isinstance(content, Mapping) and content.get("type") == "Feature":
        return [content]
    features = content.get("features") if isinstance(content, Mapping) else content
    if not isinstance(features, list):
        raise RegionError(f"{path} is JSON, but holds no GeoJSON features; export annotations of QuPath as GeoJSON.")
    return features


def _region(feature: Any, where: str) -> Region | None:
    """Region of a feature; `None` for what is no area or no annotation. Raises `RegionError`."""
    geometry = feature.get("geometry") if isinstance(feature, Mapping) else None
    if not isinstance(geometry, Mapping):
        raise RegionError(f"{where} has no geometry; expected a GeoJSON feature.")
    properties = feature.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    if str(properties.get("objectType") or "").casefold() not in _OBJECTS:
        return None
    polygons = tuple(_polygons(geometry, where))
    return Region(_class_of(properties.get("classification")), polygons) if polygons else None


def _class_of(told: Any) -> str | None:
    """Class name: QuPath writes an object, LazySlide the same as text, others the bare name."""
    if isinstance(told, str):
        try:
            told = json.loads(told)
        except ValueError:
            return told.strip() or None
    name = told.get("name") if isinstance(told, Mapping) else told
    return str(name).strip() or None if name is not None else None


def _polygons(geometry: Mapping[str, Any], where: str) -> Iterator[Polygon]:
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind == "GeometryCollection":
        for part in geometry.get("geometries") or []:
            yield from _polygons(part, where)
    elif kind in {"Polygon", "MultiPolygon"}:
        listed: list[Any] = [coordinates] if kind == "Polygon" else list(coordinates or [])
        for rings in listed:
            try:
                polygon = tuple(np.array([point[:2] for point in ring], dtype=np.float64) for ring in rings)
            except (TypeError, ValueError, IndexError, KeyError) as error:
                raise RegionError(f"{where}: its {kind} cannot be read ({error}); export it again.") from error
            if not polygon or any(len(ring) < 3 or ring.shape[1:] != (2,) for ring in polygon):
                raise RegionError(f"{where}: a ring of its {kind} has fewer than 3 points; export it again.")
            if not all(np.isfinite(ring).all() for ring in polygon):
                raise RegionError(f"{where}: its {kind} has coordinates that are no finite numbers; export it again.")
            yield polygon


def _area(region: Region) -> float:
    """Area by the shoelace formula, holes taken off."""
    total = 0.0
    for polygon in region.polygons:
        areas = [
            abs(float(np.sum(r[:, 0] * np.roll(r[:, 1], -1) - r[:, 1] * np.roll(r[:, 0], -1)))) / 2 for r in polygon
        ]
        total += areas[0] - sum(areas[1:])
    return total


def _raster(regions: Sequence[Region], shape: tuple[int, int], pixel: float) -> npt.NDArray[np.bool_]:
    """Which pixels of a raster lie in the regions, bool (height, width)."""
    raster = np.zeros(shape, dtype=np.bool_)
    for region in regions:
        for polygon in region.polygons:
            _paint(raster, [ring / pixel for ring in polygon])
    return raster


def _paint(raster: npt.NDArray[np.bool_], rings: Sequence[Points]) -> None:
    """Set the pixels whose centre lies in the polygon, holes left out; only its own box is drawn."""
    from PIL import Image, ImageDraw

    limit = np.array(raster.shape[::-1])
    first = np.clip(np.floor(rings[0].min(axis=0)), 0, limit).astype(int)
    last = np.clip(np.ceil(rings[0].max(axis=0)), 0, limit).astype(int)
    if (last <= first).any():
        return
    picture = Image.new("L", (int(last[0] - first[0]), int(last[1] - first[1])))
    draw = ImageDraw.Draw(picture)
    for number, ring in enumerate(rings):
        # A pixel is drawn where its corner `(i, j)` lies inside: half a pixel earlier, its centre decides.
        draw.polygon([tuple(point) for point in (ring - first - 0.5).tolist()], fill=int(number == 0))
    painted: Pixels = np.asarray(picture)
    raster[first[1] : last[1], first[0] : last[0]] |= painted > 0
