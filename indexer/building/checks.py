"""What must be true of a slide before it is worth encoding."""

from collections import Counter

import numpy as np
import numpy.typing as npt

from indexer.errors import CountsError, JoinError, SlideError
from indexer.slides import Expression, SlideFacts, SlideImage
from indexer.tissue.patches import check_inside

_MAX_NAME = 200
_MIN_MPP, _MAX_MPP = 0.05, 50.0  # of an image that shows tissue; 72 dpi would be 353


def check_name(slide: str) -> None:
    """Raise `SlideError` for a name that items, files and addresses cannot carry: they write `slide/kind/name`."""
    wrong = next((letter for letter in slide if letter in "/\\" or not letter.isprintable()), None)
    if wrong is not None or slide.strip() in {"", ".", ".."} or len(slide) > _MAX_NAME:
        raise SlideError(
            f"Slide {slide[:80]!r} cannot be called so; expected a name of at most {_MAX_NAME} letters without "
            "/, \\ or line breaks. Rename it, in the table of slides too."
        )


def check_holds_tile(image: SlideImage, facts: SlideFacts, side_um: float) -> None:
    """Raise `SlideError` for a picture smaller than one tile."""
    width, height = image.size_px
    side_px = side_um / mpp_of(facts)
    if min(width, height) < side_px:
        raise SlideError(
            f"Slide {facts.slide} has {width} x {height} px, less than one tile of {side_um:g} um, {side_px:.0f} px at "
            f"mpp {facts.mpp:g}. Check that it is the slide itself and that its mpp is right."
        )


def mpp_of(facts: SlideFacts) -> float:
    """Micrometres per level-0 pixel of a slide with an image; raises `SlideError` if not known or absurd."""
    if facts.mpp is None or not facts.mpp > 0:
        raise SlideError(
            f"Slide {facts.slide} has mpp {facts.mpp}; expected micrometres per level-0 pixel. "
            "State it in the manifest, or in the column `mpp` of the table given with --slides."
        )
    if not _MIN_MPP <= facts.mpp <= _MAX_MPP:
        raise SlideError(
            f"Slide {facts.slide} has mpp {facts.mpp:g} ({facts.mpp_source}), which no microscope has; expected from "
            f"{_MIN_MPP:g} to {_MAX_MPP:g}, such as 0.5. Files that say dots per inch of a screen or printer mean no "
            "tissue: state it in the column `mpp` of the table given with --slides."
        )
    return facts.mpp


def positions_of(expression: Expression | None, image: SlideImage, facts: SlideFacts) -> npt.NDArray[np.float64]:
    """Centres of the rows, float64 (n, 2), none for rows without; raises `JoinError` if they lie outside the image."""
    if expression is None or expression.xy_px is None:
        return np.empty((0, 2))
    check_inside(expression.xy_px, image, facts)
    return expression.xy_px


def check_rows(expression: Expression, slide: str) -> None:
    """Raise `CountsError` for counts without rows, `JoinError` if names or positions are not one a row."""
    n = expression.counts.shape[0]
    if n == 0:
        raise CountsError(f"Slide {slide}: its counts have no rows; expected at least one spot, cell or sample.")
    positions = n if expression.xy_px is None else len(expression.xy_px)
    if len(expression.names) != n or positions != n:
        raise JoinError(
            f"Slide {slide}: {n} rows of counts, {len(expression.names)} names and {positions} positions; expected one "
            "of each for every row."
        )
    repeated = [name for name, times in Counter(expression.names).items() if times > 1]
    if repeated:
        raise JoinError(
            f"Slide {slide}: {len(repeated)} row names appear more than once, such as {repeated[0]!r}; ids must be "
            "unique. Rename or merge those rows."
        )
