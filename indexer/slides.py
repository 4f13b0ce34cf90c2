"""What a reader returns: a slide's facts, its image and its expression, in one frame.

Positions are centres, in level-0 pixels, `(x, y)`. A reader whose format gives corners converts on the way in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

#: Where an mpp is from; `pitch` is the known distance of neighbouring spots over their distance in pixels.
MppSource = Literal["file", "manifest", "user", "pitch", "generated"]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SlideFacts:
    """What is known of a slide besides its pixels and counts; one row of the `slides` table.

    `mpp` is micrometres per pixel at level 0, `None` for a slide without an image or positions.
    """

    slide: str
    patient: str
    cohort: str
    organ: str
    diagnosis: str
    technology: str
    species: str
    licence: str
    citation: str
    mpp: float | None = None
    mpp_source: MppSource | None = None
    generated: bool = False


class SlideImage(Protocol):
    """Lazy access to the pixels of one slide."""

    @property
    def size_px(self) -> tuple[int, int]:
        """`(width, height)` at level 0."""

    def read(self, x_px: float, y_px: float, side_px: float, out_px: int) -> Pixels:
        """Square of `side_px` level-0 pixels centred on `(x_px, y_px)`, resampled to `(out_px, out_px, 3)`.

        What lies outside the image is white.
        """

    def thumbnail(self, max_px: int) -> Pixels:
        """Whole slide, RGB uint8 `(height, width, 3)`, its longer side at most `max_px`."""

    def close(self) -> None:
        """Give file handles and decoded pixels back."""


@dataclass(frozen=True, slots=True)
class Expression:
    """Counts of one slide's spots or cells, or of one bulk sample.

    Attributes
    ----------
    names : sequence of str
        One per row: barcodes, spot names, cell ids.
    counts : csr_matrix float32 (n, n_genes)
        Raw counts.
    genes : sequence of str
        Symbol of each column, unique.
    xy_px : float64 (n, 2) or None
        Centres in level-0 pixels; `None` where the format has none.
    spot_um : float or None
        Diameter of a spot in micrometres.
    labels : sequence of (str or None), optional
        Known region or cell type of each row.
    """

    names: Sequence[str]
    counts: sp.csr_matrix
    genes: Sequence[str]
    xy_px: npt.NDArray[np.float64] | None
    spot_um: float | None = None
    labels: Sequence[str | None] | None = None


class SlideSource(Protocol):
    """One slide as a reader offers it; nothing is opened before it is asked for."""

    @property
    def facts(self) -> SlideFacts:
        """Metadata of the slide."""

    @property
    def kind(self) -> Literal["spot", "cell", "transcriptome"]:
        """What a row of the expression is."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Files whose bytes decide whether the slide must be read again."""

    @property
    def image_path(self) -> Path | None:
        """Where the pixels lie, `None` for an expression-only slide."""

    def open_image(self) -> SlideImage | None:
        """Image of the slide, or `None`. Raises `SlideError`."""

    def read_expression(self) -> Expression | None:
        """Counts of the slide, or `None`. Raises `CountsError` or `JoinError`."""


@runtime_checkable
class HasRemarks(Protocol):
    """A source that has something to say of what it read, and whose reading depends on more than its files."""

    @property
    def read_with(self) -> str:
        """Digest of what besides facts and files decides the rows, such as tables of gene names."""

    def remarks(self) -> tuple[str, ...]:
        """Sentences for the user, known once `read_expression` has run."""
