"""A region drawn on a slide as a query, and as the card that stands before its hits."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from app.screens.gallery import Card
from app.screens.session import slide_picture, slides
from app.viewer.component import Region
from search.query import RegionQuery

_MOST_CORNERS = 5_000
_SHOWN_PX = 320


def region_query(region: Region) -> tuple[RegionQuery, Card] | None:
    """What a drawn region asks with, `None` for an outline that is none."""
    ring = _ring(region.geometry)
    if ring is None:
        return None
    row = slides().loc[region.slide].to_dict()
    corners = np.array(ring)
    facts = {
        "id": f"{region.slide}/drawn region",
        "kind": "region",
        "slide": region.slide,
        "patient": row["patient"],
        "cohort": row["cohort"],
        "licence": row["licence"],
        "x_px": float(corners[:, 0].mean()),
        "y_px": float(corners[:, 1].mean()),
    }
    return RegionQuery(region.slide, ((ring,),)), Card(facts, _picture(region.slide, row["width_px"], corners))


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
