"""The colour baseline from what an index stores: the space's own training pairs, seen as six colour numbers."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from encoders.recipe import Recipe
from encoders.sections import PairedSection
from encoders.space import Space, SpaceCard
from search.catalogue import Catalogue, Rows
from search.errors import NothingToMeasureError
from search.item_rows import by_slide
from search.profiles import has_counts
from search.quality.evaluated_items import COLOUR_PX, thumbnail_section, transcriptome_section
from search.quality.evaluation import colour_baseline, encode_as_indexed
from search.quality.retrieval_quality import PairedVectors

COLOUR = "colour statistics"
_N_NULL_PAIRS = 1_000  # the baseline's null is not used


def colour_space(catalogue: Catalogue, card: SpaceCard, pairs: Mapping[str, Rows]) -> Space:
    """Learn the colour baseline from the training pairs of the space, as far as the index stores them all.

    Raises
    ------
    NothingToMeasureError
        If the card names no training pairs, or some of them or their pictures are not in the index.
    """
    named = str(card.recipe.get("paired_slides", "")).split()
    absent = [slide for slide in named if slide not in pairs]
    if not named or absent:
        missing = f"of its training pairs {', '.join(absent)} are not in this index" if named else "its card names none"
        raise NothingToMeasureError(
            f"The colour baseline is absent: it is learned from the same pairs as the space, and {missing}."
        )
    sections = [_pictures(catalogue, slide, pairs[slide]) for slide in named]
    others = by_slide(catalogue, has_counts(catalogue) & (catalogue.column("kind") == "spot"))
    alone = [slide for slide in card.training_slides if slide in others and slide not in named]
    extra = [transcriptome_section(catalogue, slide, others[slide]) for slide in alone]
    return colour_baseline(sections, extra, replace(_recipe_of(card), n_null_pairs=_N_NULL_PAIRS, side_px=COLOUR_PX))


def by_colour(catalogue: Catalogue, baseline: Space, section: PairedVectors, rows: Rows) -> PairedVectors:
    """The section's vectors as the baseline has them.

    Raises
    ------
    NothingToMeasureError
        If the index holds no pictures of the section.
    """
    images, expression = encode_as_indexed(baseline, _pictures(catalogue, section.slide, rows))
    return replace(section, images=images, expression=expression)


def _pictures(catalogue: Catalogue, slide: str, rows: Rows) -> PairedSection:
    section = thumbnail_section(catalogue, slide, rows)
    if section is None:
        raise NothingToMeasureError(
            f"The colour baseline is absent: it is read from stored pictures of tiles, which section {slide} lacks."
        )
    filled = np.asarray(section.counts.sum(axis=1)).ravel() > 0
    if not filled.all():
        raise NothingToMeasureError(
            f"The colour baseline is absent: {int((~filled).sum())} spots of section {slide} have no "
            "count in the panel."
        )
    return section


def _recipe_of(card: SpaceCard) -> Recipe:
    known: dict[str, Any] = {
        field.name: card.recipe[field.name] for field in fields(Recipe) if field.name in card.recipe
    }
    return Recipe(**known)
