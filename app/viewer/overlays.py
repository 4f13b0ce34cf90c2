"""What the items of a slide are coloured by: numbers on a scale, or classes."""

from typing import Any

from plotly.colors import sequential

from app.maps import COLOUR_MAPS, Classes, PointColours
from app.viewer.arrays import Arrays


def colours_of(colours: PointColours | Classes, arrays: Arrays) -> dict[str, Any]:
    """What the browser needs to colour the points, the numbers themselves put into `arrays`."""
    if isinstance(colours, Classes):
        codes, names, palette = colours.coded()
        return {"values": arrays.put(codes), "name": colours.name, "names": names, "palette": palette}
    low, high = colours.limits
    return {
        "values": arrays.put(colours.by_point),
        "name": colours.name,
        "low": low,
        "high": high,
        "map": colours.colour_map,
        "maps": {name: getattr(sequential, name) for name in COLOUR_MAPS},
    }
