"""How every figure looks: sizes, colours that all eyes can tell apart, and one way to a file."""

import textwrap
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.errors import ShowError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Okabe and Ito (2008), "Color Universal Design": told apart with any colour vision.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
INK, MUTED, RULE, PAPER = "#1b1f24", "#5b6670", "#d5dade", "#ffffff"
#: Perceptually uniform and ordered also in grey.
SCORE_MAP = "viridis"

TITLE_PT, TEXT_PT, SMALL_PT = 11.0, 8.0, 6.5
_DPI = 160
#: Suffixes of the files a figure is written to.
FIGURE_KINDS = ("png", "svg", "pdf")
_SMALL_CHAR_IN, _TEXT_CHAR_IN = 0.052, 0.064  # mean width of a letter

_RC: Any = {  # matplotlib types the keys as literals
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": TEXT_PT,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "xtick.major.size": 2.5,
    "ytick.major.size": 0,
    "svg.hashsalt": "histoseek",  # names of parts do not change from one drawing to the next
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def style() -> AbstractContextManager[None]:
    """Context in which figures are drawn."""
    import matplotlib as mpl

    return mpl.rc_context(_RC)


def new_figure(width_in: float, height_in: float) -> "Figure":
    """White figure of that size in inches, without pyplot and so without global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def save(figure: "Figure", path: Path) -> Path:
    """Write the figure as PNG, SVG or PDF, as the suffix says, whole or not at all.

    Raises
    ------
    ShowError
        If the suffix is another.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FIGURE_KINDS:
        raise ShowError(f"{path.name} is no name of a picture; expected one that ends in .{', .'.join(FIGURE_KINDS)}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    # Without a date the same answer gives the same file.
    metadata = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    figure.savefig(part, dpi=_DPI, format=kind, metadata=metadata)
    part.replace(path)
    return path


def as_png(figure: "Figure") -> bytes:
    """The figure as the bytes of a PNG."""
    made = BytesIO()
    figure.savefig(made, dpi=_DPI, format="png", metadata={"Software": None})
    return made.getvalue()


def titled(figure: "Figure", title: str, subtitle: str, *, generated: bool) -> None:
    """Write title and subtitle at the upper left, and mark generated data at the upper right."""
    width, height = figure.get_size_inches()
    left = 0.25 / width
    figure.text(left, 1 - 0.16 / height, title, ha="left", va="top", fontsize=TITLE_PT, fontweight="bold")
    below = "\n".join(textwrap.wrap(subtitle, int((width - 0.5) / _TEXT_CHAR_IN)))
    figure.text(left, 1 - 0.40 / height, below, ha="left", va="top", fontsize=TEXT_PT, color=MUTED, linespacing=1.3)
    if generated:
        mark_generated(figure)


def mark_generated(figure: "Figure") -> None:
    """Write "generated data" across the upper right corner."""
    width, height = figure.get_size_inches()
    figure.text(
        1 - 0.25 / width,
        1 - 0.16 / height,
        "GENERATED DATA",
        ha="right",
        va="top",
        fontsize=TEXT_PT,
        fontweight="bold",
        color="white",
        bbox={"facecolor": VERMILION, "edgecolor": "none", "boxstyle": "round,pad=0.35"},
    )


def foot(figure: "Figure", sentence: str) -> None:
    """Write provenance at the lower left, in as many lines as the figure's width needs."""
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(sentence, int((width - 0.5) / _SMALL_CHAR_IN))
    figure.text(
        0.25 / width,
        0.12 / height,
        "\n".join(lines),
        ha="left",
        va="bottom",
        fontsize=SMALL_PT,
        color=MUTED,
        linespacing=1.3,
    )
