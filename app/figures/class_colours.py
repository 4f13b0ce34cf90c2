"""One colour a class, the same in pictures and in files for QuPath."""

import colorsys
from collections.abc import Sequence

from search.annotation.classes import UNASSIGNED

#: Okabe and Ito (2008), "Color Universal Design", without black: told apart with any colour vision.
OKABE_ITO = ("#D55E00", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442")
_NONE = "#B8BEC4"
_EVEN = 0.179  # luminance on which black and white are read alike
_GOLDEN = 0.618034  # of the colour circle: later hues fall between earlier ones


def class_colours(names: Sequence[str]) -> dict[str, str]:
    """`#RRGGBB` of each class in this order, and grey for `unassigned`; beyond seven, hues that are not yet taken."""
    found = {name: OKABE_ITO[i] if i < len(OKABE_ITO) else _hue(i) for i, name in enumerate(names)}
    return {**found, UNASSIGNED: _NONE}


def rgb(colour: str) -> list[int]:
    """`#RRGGBB` as the three numbers QuPath wants."""
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]


def text_on(colour: str) -> str:
    """Black or white, whichever is read better on a colour (relative luminance of WCAG 2.2)."""
    linear = [((channel / 255 + 0.055) / 1.055) ** 2.4 for channel in rgb(colour)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > _EVEN else "#FFFFFF"


def _hue(place: int) -> str:
    channels = colorsys.hls_to_rgb(place * _GOLDEN % 1, 0.35 if place % 2 else 0.6, 0.6)
    return "#" + "".join(f"{round(255 * channel):02X}" for channel in channels)
