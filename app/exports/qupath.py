"""Hits as GeoJSON that QuPath 0.4 and later opens on the slide: outlines of tiles and spots with their scores."""

import json
import uuid
from collections.abc import Iterable, Mapping
from math import cos, pi, sin
from typing import Any

from app.errors import ShowError

#: Colour of what was found, as QuPath wants it.
_FOUND_RGB = (213, 94, 0)
_CORNERS = 24  # of the polygon that stands for a round spot
_NAMESPACE = uuid.UUID("6f1c9e0a-6a53-5d0e-9d0c-6d2f0d9f4c11")  # ids are the same each time an item is written


def features_by_slide(hits: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """GeoJSON of the hits of each slide; a file of QuPath belongs to one image.

    Parameters
    ----------
    hits : iterable of mapping
        Rows of `HITS_SCHEMA`. Coordinates are level-0 pixels of the hit's slide.

    Returns
    -------
    dict
        Slide -> text of a FeatureCollection. Hits that lie nowhere, such as cells without a position, are in none.

    Raises
    ------
    ShowError
        If no hit lies anywhere.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for hit in hits:
        outline = _outline(hit)
        if outline is not None:
            found.setdefault(str(hit["slide"]), []).append(_feature(hit, outline))
    if not found:
        raise ShowError(
            "None of these hits has a position on a slide, so there is nothing to draw in QuPath. Write them as .csv."
        )
    return {
        slide: json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False, indent=1)
        for slide, features in found.items()
    }


def lies_somewhere(hit: Mapping[str, Any]) -> bool:
    """Whether a hit can be outlined on its slide."""
    return _outline(hit) is not None


def _feature(hit: Mapping[str, Any], outline: list[list[float]]) -> dict[str, Any]:
    measured = {"score": hit["score"], "rank": hit["rank"], "p_value": hit["p_value"], "fdr": hit["fdr"]}
    told = ("id", "kind", "patient", "cohort", "label", "licence")
    name = hit["label"] or "HistoSeek hit"
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(_NAMESPACE, str(hit["id"]))),
        "geometry": {"type": "Polygon", "coordinates": [outline]},
        "properties": {
            "objectType": "annotation",
            "name": f"{hit['rank']}. {hit['id']}",
            "classification": {"name": str(name), "color": list(_FOUND_RGB)},
            "isLocked": True,
            "measurements": {key: float(value) for key, value in measured.items() if value is not None},
            "metadata": {key: str(hit[key]) for key in told if hit[key] is not None},
        },
    }


def _outline(hit: Mapping[str, Any]) -> list[list[float]] | None:
    """A closed ring in level-0 pixels: a circle for a spot, a square for anything else with a side."""
    x, y, side, mpp = hit["x_px"], hit["y_px"], hit["side_px"], hit["mpp"]
    if x is None or y is None:
        return None
    if hit["kind"] == "spot" and hit["spot_um"] and mpp:
        radius = hit["spot_um"] / mpp / 2
        turns = [2 * pi * step / _CORNERS for step in range(_CORNERS)]
        ring = [[round(x + radius * cos(turn), 2), round(y + radius * sin(turn), 2)] for turn in turns]
    elif side:
        ring = [[x + dx * side / 2, y + dy * side / 2] for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    else:
        return None
    return [*ring, ring[0]]
