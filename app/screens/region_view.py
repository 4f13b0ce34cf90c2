"""A region on a slide, drawn here or in QuPath, as a query, and as the card that stands before its hits."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from app.errors import ShowError
from app.screens.gallery import Card
from app.screens.session import slide_picture, slides
from app.viewer.component import Region
from indexer.tissue.regions import parse_regions
from search.composing.regions import region_of
from search.query import RegionQuery

MOST_MB = 2
_MOST_CORNERS = 5_000
_SHOWN_PX = 320


def region_query(region: Region) -> tuple[RegionQuery, Card] | None:
    """What a drawn region asks with, `None` for an outline that is none."""
    ring = _ring(region.geometry)
    return None if ring is None else with_card(RegionQuery(region.slide, ((ring,),)), "drawn region")


def read_outlines(content: bytes, name: str, slide: str) -> RegionQuery:
    """What the annotations of a GeoJSON file ask with, all taken together, as drawn on a slide.

    Raises
    ------
    HistoSeekError
        If it is too long, no such file, or has too many corners.
    """
    if len(content) > MOST_MB * 1_000_000:
        raise ShowError(f"{name} has {len(content):,} bytes; at most {MOST_MB} MB are read. Export fewer annotations.")
    regions = parse_regions(content, Path(name))
    query = region_of(regions, name, slide)
    corners = sum(len(ring) for polygon in query.polygons for ring in polygon)
    if corners > _MOST_CORNERS:
        raise ShowError(
            f"The outlines in {name} have {corners:,} corners; at most {_MOST_CORNERS:,} are taken. "
            "Simplify them in QuPath (Objects, Simplify shape), or export fewer."
        )
    return query


def with_card(query: RegionQuery, name: str) -> tuple[RegionQuery, Card]:
    """A region with the card that stands before its hits."""
    row = slides().loc[query.slide].to_dict()
    corners = np.array([point for outline, *_ in query.polygons for point in outline])
    facts = {
        "id": f"{query.slide}/{name}",
        "kind": "region",
        "slide": query.slide,
        "patient": row["patient"],
        "cohort": row["cohort"],
        "licence": row["licence"],
        "x_px": float(corners[:, 0].mean()),
        "y_px": float(corners[:, 1].mean()),
    }
    return query, Card(facts, _picture(query.slide, row["width_px"], corners))


def _ring(geometry: dict[str, Any]) -> tuple[tuple[float, float], ...] | None:
    """Outline of a GeoJSON polygon as the browser sends it, checked since it may send anything."""
    try:
        corners = np.asarray(geometry["coordinates"][0], dtype=np.float64)
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    if corners.ndim != 2 or corners.shape[1] != 2 or not 4 <= len(corners) <= _MOST_CORNERS:
        return None
    return tuple((float(x), float(y)) for x, y in corners) if np.isfinite(corners).all() else None


def _picture(slide: str, width_px: float, corners: npt.NDArray[np.float64]) -> bytes | None:
    """The slide round the region, cut out of the small picture of the slide."""
    whole = slide_picture(slide)
    if whole is None:
        return None
    with Image.open(io.BytesIO(whole)) as picture:
        scale = picture.width / width_px
        (left, top), (right, bottom) = corners.min(axis=0) * scale, corners.max(axis=0) * scale
        side, x, y = max(right - left, bottom - top, 8.0) / 2, (left + right) / 2, (top + bottom) / 2
        cut = picture.crop((round(x - side), round(y - side), round(x + side), round(y + side)))
        buffer = io.BytesIO()
        cut.convert("RGB").resize((_SHOWN_PX, _SHOWN_PX), Image.Resampling.BICUBIC).save(buffer, format="JPEG")
    return buffer.getvalue()
