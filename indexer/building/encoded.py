"""One slide read and encoded, in memory, ready to be written: nothing of it is in the index yet."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse as sp

from encoders.aggregates import Aggregate, SlideAggregator
from encoders.aggregators import MEAN
from encoders.contracts import Floats, Modality, Vectors
from encoders.space import Space
from indexer.building.panel_counts import on_panel
from indexer.errors import CountsError, JoinError, SlideError
from indexer.features.tiled import TileEncoder
from indexer.features.tiled_slides import TiledSlide
from indexer.genes.panel import Panel
from indexer.progress import Progress, StageClock
from indexer.slides import Expression, SlideFacts, SlideImage, SlideSource
from indexer.tissue.annotated import HasRegions
from indexer.tissue.patches import ImageSide, Overview, PatchEncoder, Points, check_inside, overview
from indexer.tissue.tiles import LaidTiles, lay_tiles

RowKind = Literal["spot", "cell", "transcriptome"]
_MIN_MPP, _MAX_MPP = 0.05, 50.0  # of an image that shows tissue; 72 dpi would be 353


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
    drawn round the tiles, where somebody drew some.
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


@dataclass(frozen=True, slots=True)
class SlideEncoder:
    """Reads and encodes slides one after the other, all with the same space, panel and tiling."""

    space: Space
    panel: Panel
    stride_um: float
    thumbnails: bool
    progress: Progress
    clock: StageClock
    aggregator: SlideAggregator | None = None

    def encode(self, source: SlideSource) -> EncodedSlide:
        """Read and encode one slide.

        Raises
        ------
        SlideError, CountsError, JoinError
            If its image or counts are unusable, or do not fit together.
        """
        facts = source.facts
        with self.clock.stage("read"):
            self.progress.update("read", 0, 1, facts.slide)
            expression = source.read_expression()
            image = source.open_image()
            self.progress.update("read", 1, 1, facts.slide)
        if isinstance(source, TiledSlide):
            return self._encode_tiled(source, image, expression)
        if image is None:
            if expression is None:
                raise SlideError(f"Slide {facts.slide} has neither image nor counts; expected one of them at least.")
            return self._encoded(source, None, np.empty((0, 2)), None, expression)
        try:
            laid = self._tiles(image, source)
            side = self._image_side(image, facts, laid.xy_px, _positions(expression, image, facts))
            laid = laid if side.kept is None else laid.only(side.kept[: len(laid.xy_px)])
            made = self._encoded(source, image, laid.xy_px, side, expression)
            notes = () if side.note is None else (f"{facts.slide}: {side.note}.",)
            return replace(made, notes=notes, tile_labels=laid.labels)
        finally:
            image.close()

    def _encode_tiled(
        self, source: TiledSlide, image: SlideImage | None, expression: Expression | None
    ) -> EncodedSlide:
        """A slide whose tiles come from a file; its picture, where there is one, gives thumbnails."""
        encoder = TileEncoder(self.space, self.thumbnails, self.progress, self.clock, self._aggregator_of("image"))
        try:
            mpp = mpp_of(source.facts)
            with self.clock.stage("read"):
                tiles, tile_um = source.read_tiles(), source.tiles.tile_um()
            found = encoder.encode(
                tiles, facts=source.facts, mpp=mpp, image=image, expression=expression, tile_um=tile_um
            )
            made = self._encoded(source, image, found.tiles_px, found.image, found.expression)
            return replace(made, notes=found.notes)
        finally:
            if image is not None:
                image.close()

    def _encoded(
        self,
        source: SlideSource,
        image: SlideImage | None,
        tiles: Points,
        side: ImageSide | None,
        expression: Expression | None,
    ) -> EncodedSlide:
        with self.clock.stage("encode"):
            counts = None if expression is None else self._expression_side(source, expression)
        with self.clock.stage("tile"):
            whole = overview(image) if image is not None and self.thumbnails else None
        return EncodedSlide(
            facts=source.facts,
            kind=source.kind,
            image_path=None if source.image_path is None else str(source.image_path),
            size_px=None if image is None else image.size_px,
            overview=whole,
            tiles_px=tiles,
            image=side,
            expression=counts,
        )

    def _tiles(self, image: SlideImage, source: SlideSource) -> LaidTiles:
        facts, side_um = source.facts, self.space.image.patch.side_um
        with self.clock.stage("tile"):
            self.progress.update("tile", 0, 1, facts.slide)
            regions = source.read_regions() if isinstance(source, HasRegions) else None
            tiles = lay_tiles(image, mpp_of(facts), side_um, self.stride_um, slide=facts.slide, regions=regions)
            self.progress.update("tile", 1, 1, facts.slide)
            return tiles

    def _image_side(self, image: SlideImage, facts: SlideFacts, tiles: Points, rows: Points) -> ImageSide:
        centres = np.vstack([tiles, rows])
        if not len(centres):
            raise SlideError(
                f"Slide {facts.slide}: no tissue was found on it, and it has no spots. Check that it is a stained "
                "section and that its mpp is right."
            )
        patches = PatchEncoder(
            self.space.image, self.thumbnails, self.progress, self.clock, self._aggregator_of("image")
        )
        return patches.encode(image, centres, mpp=mpp_of(facts), slide=facts.slide, n_tiles=len(tiles))

    def _expression_side(self, source: SlideSource, expression: Expression) -> ExpressionSide:
        slide = source.facts.slide
        _check_rows(expression, slide)
        counts, genes = expression.counts, expression.genes
        encoder = self.space.expression
        # A section's spots and a data set's cells share a batch effect; bulk samples are each a batch of their own.
        rows = encoder.encode_counts(counts, genes, by_section=source.kind != "transcriptome")
        whole = encoder.encode_counts(sp.csr_matrix(counts.sum(axis=0)), genes, by_section=False)
        panel_counts, n_outside = on_panel(self.panel, counts, genes)
        return ExpressionSide(
            expression=expression,
            vectors=rows.vectors,
            slide_vector=whole.vectors[0],
            panel_counts=panel_counts,
            totals=np.asarray(counts.sum(axis=1), dtype=np.float32).ravel(),
            n_outside_panel=n_outside,
            aggregate=self._aggregate_rows(expression),
        )

    def _aggregator_of(self, modality: Modality) -> SlideAggregator | None:
        """The aggregator, where there is one besides the mean, which every slide has."""
        chosen = self.aggregator
        return None if chosen is None or chosen.name == MEAN or modality not in chosen.modalities else chosen

    def _aggregate_rows(self, expression: Expression) -> Aggregate | None:
        aggregator = self._aggregator_of("expression")
        if aggregator is None:
            return None
        vectors = self.space.expression.encode_counts(expression.counts, expression.genes, by_section=False).vectors
        known = np.flatnonzero(vectors.any(axis=1))  # a row without a single known gene has no direction
        if not len(known):
            return None
        found = aggregator.aggregate(vectors[known])
        return replace(found, nearest=known[found.nearest])


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


def _positions(expression: Expression | None, image: SlideImage, facts: SlideFacts) -> Points:
    if expression is None or expression.xy_px is None:
        return np.empty((0, 2))
    check_inside(expression.xy_px, image, facts)
    return expression.xy_px


def _check_rows(expression: Expression, slide: str) -> None:
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
