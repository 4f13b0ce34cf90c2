"""Sections as the trainer wants them: patches or features beside the counts of the same spots, or counts alone."""

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, PatchSpec
from encoders.sections import ExpressionSection, FeatureSection, PairedSection
from indexer.errors import CountsError, FeaturesError, JoinError, SlideError
from indexer.features.tile_joining import join_by_position
from indexer.features.tiled_slides import TiledSlide
from indexer.readers.features import HestPatches, TileFeatures
from indexer.slides import Expression, SlideSource
from indexer.tissue.patches import check_inside
from indexer.tissue.tiles import read_patches

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


def read_feature_pairs(source: TiledSlide) -> FeatureSection:
    """Take the features of the tile each spot lies on; spots without any count, or on no tile, are left out.

    Raises
    ------
    FeaturesError
        If the file holds patches instead of features, or does not say which encoder made them.
    CountsError, JoinError, SlideError
        If counts cannot be read or have no positions, or fewer than half of the spots lie on a tile.
    """
    slide, tiles = source.facts.slide, source.read_tiles()
    expression = _spots_with_counts(source)
    if expression.xy_px is None:
        raise JoinError(f"Slide {slide} has counts without positions; pairs need the centre of every spot.")
    rows, features, encoder = features_under_spots(tiles, source.tiles.path, expression.xy_px, slide=slide)
    counts = expression.counts[rows]
    return FeatureSection(slide, source.facts.patient, features, encoder, counts, expression.genes)


def features_under_spots(
    tiles: TileFeatures | HestPatches, path: Path, xy_px: npt.NDArray[np.float64], *, slide: str
) -> tuple[npt.NDArray[np.int64], Floats, str]:
    """Features of the tile each spot lies on.

    Parameters
    ----------
    tiles : TileFeatures or HestPatches
        Read from `path`; patches are refused.
    xy_px : float64 (n, 2)
        Centres of the spots in level-0 pixels.

    Returns
    -------
    int64 (m,)
        Spots that lie on a tile.
    float32 (m, dim)
        Their features.
    str
        What made the features.

    Raises
    ------
    FeaturesError
        If the file holds patches instead of features, or does not say which encoder made them.
    JoinError
        If fewer than half of the spots lie on a tile.
    """
    if isinstance(tiles, HestPatches):
        raise FeaturesError(f"{path} holds patches, not features; ingest them, or give features of an encoder.")
    if tiles.encoder is None:
        raise FeaturesError(
            f"{path} does not say which encoder made its features; name it, since a space takes features of the "
            f"encoder it was trained on alone."
        )
    joins = join_by_position(xy_px, tiles, slide=slide)
    _LOG.info("%s", joins.report)
    rows = np.flatnonzero(joins.tile_of >= 0)
    return rows, tiles.features[joins.tile_of[rows]], tiles.encoder


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
