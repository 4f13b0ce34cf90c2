"""How much each place of a slide resembles a query."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from encoders.contracts import Modality
from search.catalogue import Catalogue, Mask
from search.encoding import EncodedQuery
from search.errors import QueryError
from search.result import Findings
from search.retrieval.plan import score

_COLUMNS = ("id", "kind", "x_px", "y_px")


@dataclass(frozen=True, slots=True)
class SimilarityMap(Findings):
    """Scores over a slide: columns `x_px`, `y_px` (centre, level-0 pixels), `score` (cosine), `kind`, `id`.

    Attributes
    ----------
    slide : str
        The slide.
    modality : {"image", "expression"}
        The side of its tiles and spots that was compared.
    """

    slide: str
    modality: Modality


def similarity_map(
    catalogue: Catalogue, query: EncodedQuery, slide: str, target: Modality | None = None
) -> SimilarityMap:
    """Score all tiles and spots of a slide; see `Engine.similarity_map`."""
    catalogue.slide_row(slide)
    placed = (catalogue.column("slide") == slide) & np.isfinite(catalogue.column("x_px").astype(np.float64))
    placed &= np.isin(catalogue.column("kind"), ["tile", "spot", "cell"])
    modality = target or _best_side(catalogue, placed)
    mask = placed & catalogue.has(modality)
    if not mask.any():
        raise QueryError(f"Slide {slide!r} has no tile or spot with a position and an {modality} vector to map.")
    n = int(mask.sum())
    scored = score(catalogue, query.vector, modality, mask, k=n)
    order = np.argsort(scored.rows)
    found = catalogue.index.columns.take(scored.rows[order])
    table = pa.table({name: found[name] for name in _COLUMNS} | {"score": pa.array(scored.scores[order])})
    return SimilarityMap(
        table=table.select(["x_px", "y_px", "score", "kind", "id"]),
        query=query.description | {"target": modality, "slide_mapped": slide},
        notes=(*query.notes, f"Compared with the {modality} side of {n:,} tiles and spots of slide {slide!r}."),
        slide=slide,
        modality=modality,
    )


def _best_side(catalogue: Catalogue, placed: Mask) -> Modality:
    return "image" if (placed & catalogue.has("image")).any() else "expression"


def shared_side(catalogue: Catalogue, slide: str) -> Modality:
    """The side on which most other slides can be compared with this one; image if equal."""
    row = catalogue.slide_row(slide)
    slides = catalogue.column("kind") == "slide"
    sides = catalogue.modalities_of(row)
    if not sides:
        raise QueryError(f"Slide {slide!r} has no vector, so it cannot be compared with others.")
    return max(sides, key=lambda side: int((slides & catalogue.has(side)).sum()))
