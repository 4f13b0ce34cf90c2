"""Rows of an index that an analysis reads: those with both vectors, those of a slide, and the vectors of some."""

import numpy as np

from encoders.contracts import Modality, Vectors
from search.catalogue import Catalogue, Mask, Rows
from search.profiles import has_counts


def paired_slides(catalogue: Catalogue) -> dict[str, Rows]:
    """Rows with counts and both vectors, by slide; a slide's own item is not among them."""
    usable = catalogue.has("image") & catalogue.has("expression") & has_counts(catalogue) & is_item(catalogue)
    return by_slide(catalogue, usable)


def by_slide(catalogue: Catalogue, mask: Mask) -> dict[str, Rows]:
    """Rows that a mask allows, by slide."""
    rows, slides = np.flatnonzero(mask), catalogue.column("slide")
    found: dict[str, list[int]] = {}
    for row in rows.tolist():
        found.setdefault(str(slides[row]), []).append(row)
    return {slide: np.array(own, dtype=np.int64) for slide, own in found.items()}


def vectors_of(catalogue: Catalogue, rows: Rows, modality: Modality) -> Vectors:
    """Unit vectors of rows that have one, float32 `(n, dim)`."""
    places = catalogue.vector_positions(modality)[rows]
    return np.asarray(catalogue.index.vectors(modality).vectors[places], dtype=np.float32)


def is_item(catalogue: Catalogue) -> Mask:
    """Rows that are not a slide's own item, bool `(n_items,)`."""
    return np.asarray(catalogue.column("kind") != "slide")
