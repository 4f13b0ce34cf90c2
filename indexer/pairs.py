"""Sections as the trainer wants them: patches and counts of the same spots, or counts alone."""

import logging

import numpy as np

from encoders.contracts import PatchSpec
from encoders.sections import ExpressionSection, PairedSection
from indexer.errors import CountsError, JoinError, SlideError
from indexer.patches import check_inside
from indexer.slides import Expression, SlideSource
from indexer.tiles import read_patches

_LOG = logging.getLogger(__name__)


def read_pairs(source: SlideSource, patch: PatchSpec) -> PairedSection:
    """Cut a patch round every spot of a section; spots without any count are left out.

    Parameters
    ----------
    source : SlideSource
        A slide with an image and spots.
    patch : PatchSpec
        Side in micrometres and pixels; the slide's mpp turns one into level-0 pixels.

    Raises
    ------
    SlideError
        If the slide has no image or no mpp.
    CountsError, JoinError
        If its counts cannot be read, have no positions, or do not lie on the image.
    """
    facts = source.facts
    expression = _spots_with_counts(source)
    image = source.open_image()
    if image is None or facts.mpp is None:
        raise SlideError(
            f"Slide {facts.slide} has {'no image' if image is None else 'no mpp'}; pairs need both. Use it as an "
            "expression-only section."
        )
    try:
        if expression.xy_px is None:
            raise JoinError(f"Slide {facts.slide} has counts without positions; pairs need the centre of every spot.")
        check_inside(expression.xy_px, image, facts)
        batches = read_patches(image, expression.xy_px, side_px=patch.side_um / facts.mpp, out_px=patch.side_px)
        patches = np.concatenate(list(batches))
    finally:
        image.close()
    return PairedSection(facts.slide, facts.patient, patches, expression.counts, expression.genes)


def read_transcriptomes(source: SlideSource) -> ExpressionSection:
    """Counts of every spot that has any, without patches. Raises `CountsError` or `JoinError`."""
    expression = _spots_with_counts(source)
    return ExpressionSection(source.facts.slide, source.facts.patient, expression.counts, expression.genes)


def _spots_with_counts(source: SlideSource) -> Expression:
    slide = source.facts.slide
    expression = source.read_expression()
    if expression is None:
        raise CountsError(f"Slide {slide} has no counts; training needs them for every section.")
    filled = np.asarray(expression.counts.sum(axis=1)).ravel() > 0
    if not filled.any():
        raise CountsError(f"Slide {slide} has {len(filled)} spots and not one count; training needs counts.")
    if not filled.all():
        _LOG.info("%s: left out %d of %d spots, which have no counts", slide, (~filled).sum(), len(filled))
    rows: list[int] = np.flatnonzero(filled).tolist()
    return Expression(
        names=[expression.names[i] for i in rows],
        counts=expression.counts[rows],
        genes=expression.genes,
        xy_px=None if expression.xy_px is None else expression.xy_px[rows],
        spot_um=expression.spot_um,
    )
