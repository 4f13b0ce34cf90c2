"""Regions of an annotated slide as GeoJSON that QuPath 0.4 and later opens."""

import json
import uuid
from typing import Any

import numpy as np

from app.figures.class_colours import class_colours, rgb
from search.annotation.annotate import Annotation
from search.annotation.classes import UNASSIGNED
from search.annotation.regions import ClassRegion, class_regions

_NAMESPACE = uuid.UUID("1f4f8a3e-5a0e-5a53-8f2e-0d1c6a7be0a7")  # ids are the same each time a region is written


def regions_geojson(found: Annotation, *, mpp: float | None, fewest: int = 1) -> str:
    """A FeatureCollection of annotations, one a region, in level-0 pixels; raises `AnnotationError`.

    Parameters
    ----------
    found : Annotation
        Of one slide.
    mpp : float or None
        Micrometres per pixel of the slide, for areas.
    fewest : int
        Regions of fewer tiles or spots are left out.
    """
    colours = class_colours(found.classes)
    slide = found.table.column("slide")[0].as_py()
    features = [
        _feature(found, region, rgb(colours[region.name]), f"{slide}/{number}", mpp)
        for number, region in enumerate(class_regions(found, fewest=fewest), start=1)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)


def _feature(found: Annotation, region: ClassRegion, colour: list[int], name: str, mpp: float | None) -> dict[str, Any]:
    from shapely.geometry import mapping

    rings = mapping(region.outline)["coordinates"]
    measured: dict[str, float | None] = {
        f"{found.kind}s": float(len(region.places)),
        "probability": region.probability,
        "p_value": region.p_value,
        "area um^2": None if not mpp else region.outline.area * mpp**2,
    }
    means = found.probabilities[region.places].mean(axis=0)
    measured |= {f"prob {one}": float(mean) for one, mean in zip(found.classes, means, strict=True)}
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(_NAMESPACE, f"{name}/{region.name}")),
        "geometry": {"type": "Polygon", "coordinates": [np.round(ring, 2).tolist() for ring in rings]},
        "properties": {
            "objectType": "annotation",
            "name": region.name,
            "classification": {"name": region.name, "color": colour},
            "isLocked": False,
            "measurements": {key: value for key, value in measured.items() if value is not None},
            "metadata": {"compared": found.using, "mode": found.mode, "unassigned": f"{UNASSIGNED} tissue is left out"},
        },
    }
