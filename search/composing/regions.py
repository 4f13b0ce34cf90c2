"""What lies inside an outline on a slide, as one query; outlines as QuPath draws them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from encoders.contracts import Modality
from indexer.errors import RegionError
from indexer.tissue.regions import Regions, read_regions
from search.catalogue import Catalogue, Rows
from search.composing.centroids import Members, check_parts, encode_members
from search.composing.coherence import region_coherence
from search.encoding import EncodedQuery
from search.errors import QueryError
from search.item_rows import vectors_of
from search.profiles import Doubles
from search.query import LengthUnit, RegionQuery, Rings

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_KINDS = ("tile", "spot", "cell")
_OUTSIDE = 0.02  # of the longer side: an outline may be drawn a little over the edge


def region_from_geojson(
    path: Path, slide: str, *, named: str | None = None, unit: LengthUnit = "px", using: Modality | None = None
) -> RegionQuery:
    """A query for what lies inside the annotations of a GeoJSON file, as QuPath exports them, all taken together.

    Parameters
    ----------
    path : Path
        See `indexer.tissue.regions.read_regions`; annotations of class `Ignore*` are passed over.
    slide : str
        The slide of the index it was drawn on.
    named : str, optional
        Only annotations of this class.
    unit : {"px", "um"}
        Level-0 pixels, as QuPath writes, or micrometres.

    Raises
    ------
    QueryError
        If the file cannot be read, or has no such annotation.
    """
    try:
        regions = read_regions(path)
    except RegionError as error:
        raise QueryError(str(error)) from error
    return region_of(regions, path.name, slide, named=named, unit=unit, using=using)


def region_of(
    regions: Regions,
    name: str,
    slide: str,
    *,
    named: str | None = None,
    unit: LengthUnit = "px",
    using: Modality | None = None,
) -> RegionQuery:
    """The same of regions that were read already; `name` is where they are from. Raises `QueryError`."""
    found = regions.keep
    chosen = [one for one in found if named is None or (one.name or "").casefold() == named.casefold()]
    if not chosen:
        classes = sorted({one.name or "without class" for one in found}) or ["none that is to be kept"]
        raise QueryError(f"{name} has no annotation of class {named!r}; it has {', '.join(classes)}.")
    polygons = tuple(_as_rings(polygon) for one in chosen for polygon in one.polygons)
    return RegionQuery(slide, polygons, unit, using)


def encode_region(query: RegionQuery, catalogue: Catalogue) -> EncodedQuery:
    """The centroid of what lies inside, with how alike it is.

    Raises
    ------
    ItemMissingError
        If the slide is not in the index.
    QueryError
        If the outline crosses itself, lies off the slide, or nothing lies inside.
    """
    check_parts(query)
    catalogue.slide_row(query.slide)
    side, rows = _places(query, catalogue)
    xy_px = np.column_stack([catalogue.column(name)[rows] for name in ("x_px", "y_px")]).astype(np.float64)
    inside = _inside(query, catalogue, xy_px, side)
    vectors = vectors_of(catalogue, rows, side)
    coherence = region_coherence(inside, xy_px, vectors)
    return encode_members(query, Members(rows[inside], side, vectors[inside], coherence), catalogue, "Region")


def _places(query: RegionQuery, catalogue: Catalogue) -> tuple[Modality, Rows]:
    """Rows of a slide with a position and a vector of the side that is asked with."""
    rows = catalogue.rows_where("slide", query.slide)
    kinds = np.isin(catalogue.column("kind")[rows], _KINDS)
    rows = rows[kinds & np.isfinite(catalogue.column("x_px")[rows].astype(np.float64))]
    sides: tuple[Modality, ...] = ("image", "expression") if query.using is None else (query.using,)
    for side in sides:
        if len(own := rows[catalogue.has(side)[rows]]):
            return side, own
    what = "a vector" if query.using is None else f"an {query.using} vector"
    raise QueryError(f"Slide {query.slide!r} has no tile, spot or cell with a position and {what}.")


def _inside(query: RegionQuery, catalogue: Catalogue, xy_px: Doubles, side: Modality) -> Rows:
    import shapely

    mpp, size = _frame(query.slide, catalogue)
    if query.unit not in ("px", "um"):
        raise QueryError(f"The unit {query.unit!r} is not known; choose px or um.")
    if query.unit == "um" and mpp is None:
        raise QueryError(f"The scale of slide {query.slide!r} is not known, so a region must be given in pixels.")
    drawn = _geometry(query)
    scale = 1.0 if query.unit == "px" or mpp is None else 1.0 / mpp
    area = _scaled(drawn, scale)
    inside: Rows = np.flatnonzero(shapely.intersects_xy(area, xy_px[:, 0], xy_px[:, 1]))
    off = size is not None and _off_slide(area, size)
    if len(inside) and not off:
        return inside
    low_x, low_y, high_x, high_y = area.bounds
    where = f"x {low_x:.0f} to {high_x:.0f}, y {low_y:.0f} to {high_y:.0f} px"
    hint = _other_unit(query, drawn, xy_px, mpp)
    if off and size is not None:
        raise QueryError(
            f"The region reaches from {where}, off slide {query.slide!r} of {size[0]:.0f} x {size[1]:.0f} px. {hint}"
        )
    (left, top), (right, bottom) = xy_px.min(axis=0), xy_px.max(axis=0)
    raise QueryError(
        f"No tile or spot with an {side} vector has its centre inside the region ({where}); those of slide "
        f"{query.slide!r} lie within x {left:.0f} to {right:.0f}, y {top:.0f} to {bottom:.0f} px. {hint}"
    )


def _other_unit(query: RegionQuery, drawn: "BaseGeometry", xy_px: Doubles, mpp: float | None) -> str:
    """What to do next: say the other unit if the outline would then hold something."""
    import shapely

    if mpp is not None:
        other, scale = ("um", 1 / mpp) if query.unit == "px" else ("px", 1.0)
        if shapely.intersects_xy(_scaled(drawn, scale), xy_px[:, 0], xy_px[:, 1]).any():
            return f"Were its numbers meant in {other}? Then say so: unit {other}."
    return "Draw it larger, or export it from this very slide."


def _geometry(query: RegionQuery) -> "BaseGeometry":
    """All polygons together; raises `QueryError` for those that cross themselves or have no area."""
    import shapely

    if not query.polygons:
        raise QueryError("The region has no polygon; draw at least one.")
    found = []
    for number, (outline, *holes) in enumerate(map(tuple, query.polygons), start=1):
        if len(set(outline)) < 3 or not np.isfinite(np.array(outline)).all():
            raise QueryError(f"Polygon {number} of the region has fewer than 3 finite points; draw an area.")
        polygon = shapely.Polygon(outline, [hole for hole in holes if len(set(hole)) >= 3])
        if not polygon.is_valid or not polygon.area:
            why = shapely.is_valid_reason(polygon)
            raise QueryError(
                f"Polygon {number} of the region is no simple area ({why}); draw it without crossing itself."
            )
        found.append(polygon)
    return shapely.union_all(found)


def _scaled(area: "BaseGeometry", scale: float) -> "BaseGeometry":
    import shapely

    return shapely.transform(area, lambda points: points * scale)


def _off_slide(area: "BaseGeometry", size: tuple[float, float]) -> bool:
    low_x, low_y, high_x, high_y = area.bounds
    spare = _OUTSIDE * max(size)
    return bool(min(low_x, low_y) < -spare or high_x > size[0] + spare or high_y > size[1] + spare)


def _frame(slide: str, catalogue: Catalogue) -> tuple[float | None, tuple[float, float] | None]:
    """Micrometres per pixel of a slide, and its size in level-0 pixels, where they are known."""
    slides = catalogue.index.slide_facts()
    row = slides.slice(slides.column("slide").to_pylist().index(slide), 1).select(["mpp", "width_px", "height_px"])
    mpp, width, height = (row.column(name)[0].as_py() for name in row.column_names)
    return mpp, None if width is None or height is None else (float(width), float(height))


def _as_rings(polygon: Sequence[Doubles]) -> Rings:
    return tuple(tuple((float(x), float(y)) for x, y in ring) for ring in polygon)
