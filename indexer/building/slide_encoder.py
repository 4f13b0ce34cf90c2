"""A slide that is read, encoded: what the index stores of it, in memory; nothing of it is in the index yet."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from encoders.aggregates import Aggregate, SlideAggregator
from encoders.aggregators import MEAN
from encoders.contracts import Modality
from encoders.space import Space
from indexer.building.checks import check_rows, mpp_of
from indexer.building.encoded import EncodedSlide, ExpressionSide
from indexer.building.panel_counts import on_panel
from indexer.building.patch_encoding import PatchEncoder
from indexer.building.report import genes_row
from indexer.building.slide_reading import RowKind, SlideEnd, SlideHead, SlidePart
from indexer.features.tiled import TiledSide, TileEncoder
from indexer.features.tiled_slides import TiledSlide
from indexer.genes.panel import Panel
from indexer.progress import Progress, StageClock
from indexer.slides import Expression, HasRemarks, SlideImage
from indexer.tissue.patches import overview
from indexer.tissue.quality import said_of


@dataclass(frozen=True, slots=True)
class SlideEncoder:
    """Encodes slides, all with the same space, panel and tiling. Several threads may use it at once."""

    space: Space
    panel: Panel
    thumbnails: bool
    progress: Progress
    clock: StageClock
    patches: PatchEncoder
    aggregator: SlideAggregator | None = None

    def encode(self, parts: Iterator[SlidePart], clock: StageClock) -> EncodedSlide:
        """Encode a slide from its parts (`slide_reading.read_slide`).

        Raises
        ------
        PatchError, CountsError
            If its pixels or counts are not what the space encodes.
        """
        head = next(parts)
        if not isinstance(head, SlideHead):
            raise TypeError(f"Got {type(head).__name__}; expected the head of a slide first.")
        side, labels, tiles_px = None, head.tiles.labels, head.tiles.xy_px
        end: SlidePart
        if head.n_patches:
            side, kept, end = self.patches.encode(head, parts, clock)
            laid = head.tiles.only(kept[: len(tiles_px)])
            labels, tiles_px = laid.labels, laid.xy_px
        else:
            end = next(parts)
        if not isinstance(end, SlideEnd):
            raise TypeError(f"Got {type(end).__name__}; expected the end of slide {head.facts.slide}.")
        for stage, seconds in end.seconds.items():
            clock.add(stage, seconds)
        told = said_of(end.left_out.get("blur", 0), end.left_out.get("pen", 0), len(head.tiles.xy_px))
        said = () if told is None else (f"{head.facts.slide}: {told}.",)
        return EncodedSlide(
            facts=head.facts,
            kind=head.kind,
            image_path=head.image_path,
            size_px=head.size_px,
            overview=head.overview,
            tiles_px=tiles_px,
            image=side,
            expression=self._expression_side(head.expression, head.kind, clock),
            notes=(*said, *end.remarks),
            tile_labels=labels,
            left_out=end.left_out,
            genes=end.genes,
        )

    def encode_tiled(self, source: TiledSlide, clock: StageClock) -> EncodedSlide:
        """Encode a slide whose tiles come from a file; its picture, where there is one, gives thumbnails.

        Raises
        ------
        SlideError, CountsError, JoinError, FeaturesError, SpaceMismatchError
            If picture, counts or tiles are unusable, do not fit together, or are of another encoder.
        """
        encoder = TileEncoder(
            self.space, self.thumbnails, self.progress, clock, aggregator_of(self.aggregator, "image")
        )
        with clock.stage("read"):
            expression, image = source.read_expression(), source.open_image()
        try:
            mpp = mpp_of(source.facts)
            with clock.stage("read"):
                tiles, tile_um = source.read_tiles(), source.tiles.tile_um()
            found = encoder.encode(
                tiles, facts=source.facts, mpp=mpp, image=image, expression=expression, tile_um=tile_um
            )
            if found.expression is not None:
                check_rows(found.expression, source.facts.slide)
            return self._tiled(source, image, found, clock)
        finally:
            if image is not None:
                image.close()

    def _tiled(self, source: TiledSlide, image: SlideImage | None, found: TiledSide, clock: StageClock) -> EncodedSlide:
        facts, expression = source.facts, found.expression
        with clock.stage("tile"):
            whole = overview(image) if image is not None and self.thumbnails else None
        return EncodedSlide(
            facts=facts,
            kind=source.kind,
            image_path=None if source.image_path is None else str(source.image_path),
            size_px=None if image is None else image.size_px,
            overview=whole,
            tiles_px=found.tiles_px,
            image=found.image,
            expression=self._expression_side(expression, source.kind, clock),
            notes=(*found.notes, *(source.remarks() if isinstance(source, HasRemarks) else ())),
            genes=genes_row(source),
        )

    def _expression_side(
        self, expression: Expression | None, kind: RowKind, clock: StageClock
    ) -> ExpressionSide | None:
        if expression is None:
            return None
        with clock.stage("encode"):
            counts, genes = expression.counts, expression.genes
            encoder = self.space.expression
            # A section's spots and a data set's cells share a batch effect; bulk samples are each a batch of their own.
            rows = encoder.encode_counts(counts, genes, by_section=kind != "transcriptome")
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

    def _aggregate_rows(self, expression: Expression) -> Aggregate | None:
        aggregator = aggregator_of(self.aggregator, "expression")
        if aggregator is None:
            return None
        vectors = self.space.expression.encode_counts(expression.counts, expression.genes, by_section=False).vectors
        known = np.flatnonzero(vectors.any(axis=1))  # a row without a single known gene has no direction
        if not len(known):
            return None
        found = aggregator.aggregate(vectors[known])
        return replace(found, nearest=known[found.nearest])


def aggregator_of(chosen: SlideAggregator | None, modality: Modality) -> SlideAggregator | None:
    """The aggregator of a side, where there is one besides the mean, which every slide has."""
    return None if chosen is None or chosen.name == MEAN or modality not in chosen.modalities else chosen
