"""What the items of a slide are coloured by: numbers on a scale, or classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from plotly.colors import sequential

from app.maps import COLOUR_MAPS, GROUP_COLOURS, PointColours
from app.viewer.arrays import Arrays

_REST = "other"
_REST_COLOUR = "#a3a3a3"


@dataclass(frozen=True, slots=True)
class Classes:
    """One name a point, `None` where there is none.

    Attributes
    ----------
    by_point : sequence of (str or None)
        Names; the most frequent get a colour of their own, the rest are shown as "other".
    name : str
        What the names are.
    palette : mapping, optional
        Colour of each name, `#RRGGBB`, in the order of the legend; by default the most frequent come first.
    """

    by_point: tuple[str | None, ...]
    name: str
    palette: Mapping[str, str] | None = None

    def coded(self) -> tuple[npt.NDArray[np.float64], list[str], list[str]]:
        """Number of each point's class (NaN without), the classes' names, their colours."""
        if self.palette is not None:
            known = {one: float(code) for code, one in enumerate(self.palette)}
            return (
                np.array([np.nan if one is None else known[one] for one in self.by_point]),
                list(self.palette),
                list(self.palette.values()),
            )
        counts: dict[str, int] = {}
        for one in self.by_point:
            if one is not None:
                counts[one] = counts.get(one, 0) + 1
        ordered = sorted(counts, key=lambda one: (-counts[one], one))
        own = ordered if len(ordered) <= len(GROUP_COLOURS) else ordered[: len(GROUP_COLOURS) - 1]
        names = own if len(own) == len(ordered) else [*own, _REST]
        code_of = {one: min(code, len(names) - 1) for code, one in enumerate(ordered)}
        colours = [*GROUP_COLOURS[: len(own)], *([_REST_COLOUR] if len(own) < len(ordered) else [])]
        return np.array([np.nan if one is None else code_of[one] for one in self.by_point]), names, colours


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
