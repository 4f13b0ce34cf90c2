"""Regions of a slide: neighbouring tiles or spots of one class as polygons."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from search.annotation.annotate import Annotation
from search.annotation.classes import UNASSIGNED
from search.annotation.smoothing import pitch_of
from search.catalogue import Rows
from search.errors import AnnotationError
from search.profiles import Doubles

if TYPE_CHECKING:
    from shapely import MultiPolygon, Polygon

#: Half the side of the square an item may fill, in distances between neighbours: tiles fill their grid exactly, spots
#: lie unevenly, and gaps between them are to be closed.
_REACH = {"tile": 0.5, "spot": 0.62, "cell": 0.75}
_GAP = 0.02  # of that distance: what rounding leaves between tiles


@dataclass(frozen=True, slots=True)
class ClassRegion:
    """Neighbouring items of one class.

    Attributes
    ----------
    name : str
        The class.
    outline : shapely Polygon
        In level-0 pixels, holes included; valid, and regions of a slide do not overlap.
    places : int64 (m,)
        Rows of the annotation's table that lie in it.
    probability : float
        Mean probability of the class over these.
    p_value : float or None
        Median p-value of these.
    """

    name: str
    outline: "Polygon"
    places: Rows
    probability: float
    p_value: float | None


def class_regions(found: Annotation, *, fewest: int = 1, unassigned: bool = False) -> list[ClassRegion]:
    """Join neighbouring items of one class.

    Each item stands for the places nearer to it than to any other (its Voronoi cell), as far as its own tile or about
    half the way to the next spot.

    Parameters
    ----------
    found : Annotation
        Of one slide.
    fewest : int
        Regions of fewer items are left out.
    unassigned : bool
        Whether items of no class form regions too.

    Returns
    -------
    list of ClassRegion
        By class, the largest first.

    Raises
    ------
    AnnotationError
        If the items are of several slides, or fewer than two have a position.
    """
    slides = found.table.column("slide").unique().to_pylist()
    if len(slides) != 1:
        raise AnnotationError(f"Regions belong to one slide; these items are of {len(slides)}: annotate one at a time.")
    xy: Doubles = np.column_stack([found.table.column(name).to_numpy() for name in ("x_px", "y_px")])
    places = np.flatnonzero(np.isfinite(xy).all(axis=1))
    _, first = np.unique(xy[places], axis=0, return_index=True)
    places = places[np.sort(first)]
    if len(places) < 2:
        raise AnnotationError(f"{len(places)} item of slide {slides[0]!r} has a position; regions need at least two.")
    cells, pitch = _cells(xy[places], found.kind)
    classes = np.array(found.table.column("class").to_pylist(), dtype=object)[places]
    wanted = [*found.classes, UNASSIGNED] if unassigned else list(found.classes)
    regions: list[ClassRegion] = []
    for name in wanted:
        own = np.flatnonzero(classes == name)
        joined = [_region(found, name, outline, places[own[inside]]) for outline, inside in _joined(cells[own], pitch)]
        joined = [region for region in joined if len(region.places) >= fewest]
        regions += sorted(joined, key=lambda region: -region.outline.area)
    return regions


def _cells(xy_px: Doubles, kind: str) -> tuple[np.ndarray, float]:
    """Polygon of each place, and the distance between neighbours."""
    import shapely

    pitch = pitch_of(xy_px)
    half = _REACH.get(kind, _REACH["spot"]) * pitch
    boxes = shapely.box(*(xy_px - half).T, *(xy_px + half).T)
    around = shapely.box(*(xy_px.min(axis=0) - 2 * pitch), *(xy_px.max(axis=0) + 2 * pitch))
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.MultiPoint(xy_px), extend_to=around))
    # Which cell is whose: each holds one place.
    tree = shapely.STRtree(cells)
    place, cell = tree.query(shapely.points(xy_px), predicate="intersects")
    owner = np.full(len(xy_px), -1)
    owner[place] = cell
    nearest = tree.nearest(shapely.points(xy_px[owner < 0])) if (owner < 0).any() else np.empty(0, dtype=np.int64)
    owner[owner < 0] = nearest
    return shapely.intersection(cells[owner], boxes), pitch


def _joined(cells: np.ndarray, pitch: float) -> list[tuple["Polygon", Rows]]:
    """Connected unions of cells, each with the cells it is made of."""
    import shapely

    if not len(cells):
        return []
    spare = _GAP * pitch
    grown = shapely.union_all(shapely.buffer(cells, spare, join_style="mitre"))
    union: Polygon | MultiPolygon = shapely.buffer(grown, -spare, join_style="mitre")
    parts = shapely.get_parts(shapely.make_valid(union))
    parts = np.array([part for part in parts if part.geom_type == "Polygon"], dtype=object)
    part, cell = shapely.STRtree(cells).query(parts, predicate="intersects")
    share = shapely.area(shapely.intersection(parts[part], cells[cell])) / shapely.area(cells[cell])
    part, cell = part[share > 0.5], cell[share > 0.5]
    return [(outline, np.sort(cell[part == number])) for number, outline in enumerate(parts)]


def _region(found: Annotation, name: str, outline: "Polygon", places: Rows) -> ClassRegion:
    p_values = found.table.column("p_value").take(places)
    known = p_values.null_count == 0 and len(places) > 0
    probability = (
        float("nan") if name == UNASSIGNED else float(np.mean(found.table.column(f"prob_{name}").take(places)))
    )
    return ClassRegion(name, outline, places, probability, float(np.median(p_values)) if known else None)
