"""One slide read and encoded, in memory, ready to be written: nothing of it is in the index yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import scipy.sparse as sp

from encoders.aggregates import Aggregate
from encoders.contracts import Floats, Vectors
from indexer.building.slide_reading import Points, RowKind
from indexer.slides import Expression, SlideFacts
from indexer.tissue.patches import ImageSide, Overview


@dataclass(frozen=True, slots=True)
class ExpressionSide:
    """What the counts of a slide give.

    Attributes
    ----------
    expression : Expression
        Names, positions and labels of the rows, as read.
    vectors : float32 (n, dim)
        Unit vectors of the rows.
    slide_vector : float32 (dim,)
        Unit vector of the summed counts.
    panel_counts : csr_matrix float32 (n, n_panel)
        Counts over the panel.
    totals : float32 (n,)
        Counts over all genes of the file.
    n_outside_panel : int
        Genes of the file that the panel does not have.
    aggregate : Aggregate or None
        What stands for the slide besides `slide_vector`, if that was asked for; `nearest` numbers the rows.
    """

    expression: Expression
    vectors: Vectors
    slide_vector: Vectors
    panel_counts: sp.csr_matrix
    totals: Floats
    n_outside_panel: int
    aggregate: Aggregate | None = None


@dataclass(frozen=True, slots=True)
class EncodedSlide:
    """All that the index stores of a slide. `image` holds the tiles first, then the rows that have a position.

    `notes` says what the user should know of it, such as how many spots joined a tile; `tile_labels` are the classes
    drawn round the tiles, where somebody drew some; `left_out` counts tiles that were not taken, by reason; `genes` is
    what became of the gene identifiers.
    """

    facts: SlideFacts
    kind: RowKind
    image_path: str | None
    size_px: tuple[int, int] | None
    overview: Overview | None
    tiles_px: Points
    image: ImageSide | None
    expression: ExpressionSide | None
    notes: tuple[str, ...] = ()
    tile_labels: tuple[str | None, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    genes: Mapping[str, Any] | None = None
