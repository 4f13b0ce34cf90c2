"""Which items the demo asks with: fixed rules, stated beside every answer, never picked for a nice result."""

from dataclasses import dataclass

import numpy as np

from app.errors import ShowError
from search.engine import Engine

GENES = "ERBB2:2 KRT19 -VIM"
MARKER = "ERBB2"


@dataclass(frozen=True, slots=True)
class Choice:
    """Query items of the demo and the rule behind each.

    Attributes
    ----------
    slide, slide_rule : str
        The slide asked with.
    spot, spot_rule : str
        Id of its spot.
    tile, tile_rule : str
        Id of its tissue tile.
    genes : str
        The weighted gene list.
    """

    slide: str
    slide_rule: str
    spot: str
    spot_rule: str
    tile: str
    tile_rule: str
    genes: str = GENES


def choose(engine: Engine) -> Choice:
    """Choose a slide, one of its spots and one of its tiles by rule.

    Raises
    ------
    ShowError
        If the index has no slide with an image, spots and tiles.
    """
    slide, slide_rule = _slide(engine)
    rows = np.flatnonzero(engine.catalogue.column("slide") == slide)
    kinds = engine.catalogue.column("kind")[rows]
    spots, tiles = rows[kinds == "spot"], rows[kinds == "tile"]
    if not len(spots) or not len(tiles):
        raise ShowError(f"Slide {slide} has {len(spots)} spots and {len(tiles)} tiles; the demo asks with both.")
    gene = MARKER if MARKER in engine.index.genes else engine.index.genes[0]
    counts = engine.index.expression(spots)[:, [engine.index.genes.index(gene)]].toarray().ravel()
    spot = int(spots[np.argmax(counts)])  # the first of equals
    xy = np.stack([engine.catalogue.column(name).astype(np.float64) for name in ("x_px", "y_px")], axis=1)
    tile = int(tiles[np.argmin(((xy[tiles] - xy[spot]) ** 2).sum(axis=1))])
    ids = engine.catalogue.column("id")
    return Choice(
        slide=slide,
        slide_rule=slide_rule,
        spot=str(ids[spot]),
        spot_rule=f"the spot of {slide} with the highest {gene} count ({counts.max():.0f})",
        tile=str(ids[tile]),
        tile_rule="the tissue tile nearest to that spot",
    )


def _slide(engine: Engine) -> tuple[str, str]:
    """First slide by name that has an image and whose patient the space was not trained on."""
    rows = [row for row in engine.index.slides().to_pylist() if row["n_tiles"]]
    if not rows:
        raise ShowError("No slide of the index has an image with tissue; the demo needs one.")
    trained = engine.space.card.training_patients
    unseen = sorted(row["slide"] for row in rows if row["patient"] not in trained)
    if unseen:
        return unseen[0], "the first slide with an image whose patient the space has not seen"
    return min(row["slide"] for row in rows), "the first slide with an image (the space has seen all patients)"
