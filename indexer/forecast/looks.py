"""One slide looked at as ingest would read it, up to its first patches: what it is, or why it will fail."""

import time
from dataclasses import dataclass, field

import numpy as np

from encoders.contracts import Patches
from encoders.errors import HistoSeekError
from indexer.building.checks import mpp_of
from indexer.building.shards import name_of
from indexer.building.slide_reading import PatchBatch, ReadPlan, SlideHead, read_slide
from indexer.features.tiled_slides import TiledSlide
from indexer.runs.next_steps import next_step
from indexer.slides import Expression, SlideSource


@dataclass(frozen=True, slots=True)
class SlideLook:
    """What a look at a slide showed.

    Attributes
    ----------
    slide : str
        Its name.
    width_px, height_px : int or None
        Of its picture at level 0.
    mpp, mpp_source : float or None, str or None
        Micrometres per level-0 pixel, and where the number is from.
    n_tiles, n_rows : int
        Tiles on its tissue, found on its thumbnail, of which some may turn out blurred or inked; and its spots, cells
        or samples.
    n_patches : int
        Patches that will be cut and encoded: those of tiles, and of rows that have a position on a picture.
    n_counts : int
        Counts above 0, over all genes of the file.
    read_s, patch_s : float
        Seconds of opening and laying tiles, and of cutting one patch.
    jpeg_bytes : float
        Bytes of a patch's thumbnail.
    error, reason, next_step : str
        Why it will fail, and what to do; empty if nothing speaks for that.
    """

    slide: str
    width_px: int | None = None
    height_px: int | None = None
    mpp: float | None = None
    mpp_source: str | None = None
    n_tiles: int = 0
    n_rows: int = 0
    n_patches: int = 0
    n_counts: int = 0
    read_s: float = 0.0
    patch_s: float = 0.0
    jpeg_bytes: float = 0.0
    error: str = ""
    reason: str = ""
    next_step: str = ""

    @property
    def will_fail(self) -> bool:
        """Whether ingest would leave it out."""
        return bool(self.error)


@dataclass(frozen=True, slots=True)
class Probe:
    """A look, with what was read for it, by which the encoder's speed is measured."""

    look: SlideLook
    pixels: Patches | None = field(default=None, repr=False)
    expression: Expression | None = field(default=None, repr=False)


def look_at(source: SlideSource, plan: ReadPlan) -> Probe:
    """Look at a slide: its counts are read, its picture opened, its tiles laid, and its first patches cut.

    Parameters
    ----------
    source : SlideSource
        The slide.
    plan : ReadPlan
        How ingest would read it.

    Returns
    -------
    Probe
        A slide that cannot be read is one that will fail, with the reason ingest would give.
    """
    try:
        return _tiled(source) if isinstance(source, TiledSlide) else _read(source, plan)
    except (HistoSeekError, OSError) as error:
        name = type(error).__name__
        return Probe(SlideLook(name_of(source), error=name, reason=str(error), next_step=next_step(name, str(error))))


def _read(source: SlideSource, plan: ReadPlan) -> Probe:
    start, parts = time.perf_counter(), read_slide(source, plan)
    try:
        head = next(parts)
        if not isinstance(head, SlideHead):
            raise TypeError(f"The first part of slide {name_of(source)} is no head.")
        opened = time.perf_counter()
        batch = next(parts) if head.n_patches else None
        cut_s = time.perf_counter() - opened
    finally:
        parts.close()
    pixels = batch.pixels if isinstance(batch, PatchBatch) else None
    jpegs = [len(jpeg) for jpeg in batch.jpegs if jpeg] if isinstance(batch, PatchBatch) else []
    width, height = head.size_px or (None, None)
    counts = None if head.expression is None else head.expression.counts
    look = SlideLook(
        slide=head.facts.slide,
        width_px=width,
        height_px=height,
        mpp=head.facts.mpp,
        mpp_source=head.facts.mpp_source,
        n_tiles=len(head.tiles.xy_px),
        n_rows=0 if counts is None else counts.shape[0],
        n_patches=head.n_patches,
        n_counts=0 if counts is None else int(counts.nnz),
        read_s=opened - start,
        patch_s=0.0 if pixels is None else cut_s / len(pixels),
        jpeg_bytes=float(np.mean(jpegs)) if jpegs else 0.0,
    )
    return Probe(look, pixels, head.expression)


def _tiled(source: TiledSlide) -> Probe:
    """A slide whose tiles come from a file; features need no encoder, only pixels of HEST do."""
    start, facts = time.perf_counter(), source.facts
    mpp = mpp_of(facts)
    expression, image = source.read_expression(), source.open_image()
    width, height = (None, None) if image is None else image.size_px
    if image is not None:
        image.close()
    n_tiles = len(source.read_tiles().xy_px)
    look = SlideLook(
        slide=facts.slide,
        width_px=width,
        height_px=height,
        mpp=mpp,
        mpp_source=facts.mpp_source,
        n_tiles=n_tiles,
        n_rows=0 if expression is None else expression.counts.shape[0],
        n_counts=0 if expression is None else int(expression.counts.nnz),
        read_s=time.perf_counter() - start,
    )
    return Probe(look, None, expression)
