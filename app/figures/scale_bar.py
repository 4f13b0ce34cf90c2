"""Scale bars: a round length in micrometres that fits a picture."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT = 0.07  # of the axes' width
_ROUND = (1.0, 2.0, 5.0, 10.0)


def round_length_um(width_um: float, *, share: float = 0.33) -> float:
    """Longest of 1, 2, 5 x 10^n micrometres that is at most `share` of a picture `width_um` wide.

    Raises
    ------
    ValueError
        If `width_um` is not a positive, finite length.
    """
    if not (math.isfinite(width_um) and width_um > 0):
        raise ValueError(f"A picture is {width_um} um wide; expected a positive length.")
    longest = width_um * share
    power = 10.0 ** math.floor(math.log10(longest))
    return max(step * power for step in _ROUND if step * power <= longest * (1 + 1e-9))


def length_text(length_um: float) -> str:
    """`200 µm`, or `2 mm` from a millimetre up."""
    return f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"


def draw_scale_bar(axes: "Axes", *, um_per_unit: float, colour: str = "black", at_right: bool = False) -> float:
    """Draw a bar in a lower corner of `axes`, the left unless `at_right`; their x unit is `um_per_unit` micrometres.

    The bar stands on a half-transparent white plate, so that it can be read on any tissue.

    Returns
    -------
    float
        Length of the bar in micrometres.
    """
    left, right = sorted(axes.get_xlim())
    length_um = round_length_um((right - left) * um_per_unit)
    share = length_um / um_per_unit / (right - left)
    start = 1 - _LEFT - share if at_right else _LEFT
    plate = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "boxstyle": "round,pad=0.25"}
    axes.text(
        start + share / 2,
        0.085,
        length_text(length_um),
        transform=axes.transAxes,
        ha="center",
        va="bottom",
        fontsize=7,
        color=colour,
        bbox=plate,
        zorder=6,
    )
    axes.plot(
        [start, start + share],
        [0.06, 0.06],
        transform=axes.transAxes,
        color=colour,
        linewidth=2.5,
        solid_capstyle="butt",
        zorder=7,
    )
    return length_um
