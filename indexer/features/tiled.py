"""Tiles that come from a file: features projected as they are, or pixels encoded; joined to the slide's spots."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from encoders.aggregates import Aggregate, SlideAggregator
from encoders.contracts import Floats, Patches, PatchSpec, SectionStats, Vectors, unit_rows
from encoders.errors import PatchError
from encoders.space import Space
from encoders.towers import tower_of
from indexer.errors import JoinError, SlideError
from indexer.features.tile_joining import TileJoin, join_by_barcode, join_by_position, patches_on_spots
from indexer.progress import Progress, StageClock
from indexer.readers.features import HestPatches, TileFeatures
from indexer.slides import Expression, SlideFacts, SlideImage
from indexer.tissue.patches import ImageSide, check_inside, patch_jpeg

Points = npt.NDArray[np.float64]

_NOMINAL = 0.05  # tiles are cut by a stated magnification: its side must be the encoder's
_MEASURED = 0.10  # tiles are a number of level-0 pixels: scanners of one magnification differ
_SHORT_SIDE = 0.98  # a patch may lack 2 % of its side to rounding
_STAIN_SAMPLE = 256
_BATCH = 32


@dataclass(frozen=True, slots=True)
class TiledSide:
    """What a file of tiles gives.

    Attributes
    ----------
    tiles_px : float64 (n, 2)
        Centres of the tiles that become items of their own, level-0 pixels.
    image : ImageSide
        Those tiles, then one row for each row of the expression that has a position; a spot without a tile has a zero
        vector, which is stored as none.
    expression : Expression or None
        As read, with positions where only the tiles have them.
    notes : tuple of str
        How many spots joined.
    """

    tiles_px: Points
    image: ImageSide
    expression: Expression | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TileEncoder:
    """Turns tiles of files into the image side of slides, all in one space."""

    space: Space
    thumbnails: bool
    progress: Progress
    clock: StageClock
    aggregator: SlideAggregator | None = None

    def encode(
        self,
        tiles: TileFeatures | HestPatches,
        *,
        facts: SlideFacts,
        mpp: float,
        image: SlideImage | None,
        expression: Expression | None,
        tile_um: float | None = None,
    ) -> TiledSide:
        """Encode the tiles of one slide.

        Parameters
        ----------
        tiles : TileFeatures or HestPatches
            Features are projected; patches go through the whole encoder.
        facts : SlideFacts
            The slide.
        mpp : float
            Micrometres per level-0 pixel.
        image : SlideImage or None
            Its picture; gives thumbnails, and the stain that a later query with pixels needs.
        expression : Expression or None
            Its spots, joined by barcode (patches of HEST) or position.
        tile_um : float, optional
            Side of a tile as its file states it by magnification.

        Raises
        ------
        SpaceMismatchError, PatchError
            If features are of another encoder, length or scale than the space projects.
        SlideError, JoinError
            If there are no tiles, or tiles, spots and picture do not fit together.
        WeightsMissingError
            If patches need an encoder whose weights are not on this machine.
        """
        if not len(tiles.xy_px):
            raise SlideError(f"Slide {facts.slide}: its tile file holds no tile; it may have no tissue. Leave it out.")
        if isinstance(tiles, HestPatches):
            return self._of_pixels(tiles, facts, mpp, expression)
        return self._of_features(tiles, facts, mpp, image, expression, tile_um)

    def _of_features(
        self,
        tiles: TileFeatures,
        facts: SlideFacts,
        mpp: float,
        image: SlideImage | None,
        expression: Expression | None,
        tile_um: float | None,
    ) -> TiledSide:
        tower, where = tower_of(self.space), f"Slide {facts.slide}: its feature file"
        tower.check_encoder(tiles.encoder, tiles.features.shape[1], where)
        side_um = tiles.side_px * mpp if tile_um is None else tile_um
        tower.check_side(side_um, where, tolerance=_MEASURED if tile_um is None else _NOMINAL)
        if image is not None:
            check_inside(tiles.xy_px, image, facts)
        joins = _by_position(tiles, expression, facts.slide)
        side_px = self.space.image.patch.side_um / mpp
        stain = self._stain_at(image, tiles.xy_px, side_px) if image is not None else None
        if stain is None and not tower.needs_stain:
            stain = np.zeros((2, 3), dtype=np.float32)  # the encoder leaves colours as they are
        jpegs = self._cut(image, tiles.xy_px, side_px, facts.slide)
        with self.clock.stage("encode"):
            side = self._project(tiles.features, stain, jpegs, side_px)
        return TiledSide(tiles.xy_px, _with_spots(side, joins), expression, _reports(joins))

    def _of_pixels(self, tiles: HestPatches, facts: SlideFacts, mpp: float, expression: Expression | None) -> TiledSide:
        patch, n = self.space.image.patch, len(tiles.names)
        side_um = tiles.side_px * mpp
        if side_um < _SHORT_SIDE * patch.side_um:
            raise PatchError(
                f"Slide {facts.slide}: patches of {tiles.path.name} cover {side_um:.4g} um; encoder "
                f"{self.space.image.info.name!r} of space {self.space.card.name!r} looks at {patch.side_um:.4g} um. "
                f"Use the slide's picture, or a space whose encoder looks at less."
            )
        joins, placed, centres = _by_barcode(tiles, expression, facts.slide)
        sample = np.unique(np.linspace(0, n - 1, min(_STAIN_SAMPLE, n)).astype(np.int64))
        cut = [middle_of(tiles.pixels(int(i), int(i) + 1), side_um, patch) for i in sample]
        with self.clock.stage("encode"):
            stain = self.space.image.stain_of(np.concatenate(cut))
        features: list[Floats] = []
        jpegs: list[bytes | None] = []
        for start in range(0, n, _BATCH):
            with self.clock.stage("tile"):
                pixels = middle_of(tiles.pixels(start, min(start + _BATCH, n)), side_um, patch)
                jpegs += [patch_jpeg(one) if self.thumbnails else None for one in pixels]
            with self.clock.stage("encode"):
                features.append(self.space.image.features(pixels, stain=stain))
            self.progress.update("encode", len(jpegs), n, facts.slide)
        with self.clock.stage("encode"):
            side = self._project(np.concatenate(features), stain, tuple(jpegs), patch.side_um / mpp)
        if joins is None:
            return TiledSide(centres, side, None, ())
        return TiledSide(np.empty((0, 2)), _only_spots(side, joins), placed, _reports(joins))

    def _project(
        self, features: Floats, stain: Floats | None, jpegs: tuple[bytes | None, ...], side_px: float
    ) -> ImageSide:
        centre = features.mean(axis=0, dtype=np.float64).astype(np.float32)
        in_space = self.space.image.project(features)
        mean = in_space.mean(axis=0, dtype=np.float64)
        return ImageSide(
            vectors=self.space.image.project(features, centre=centre),
            slide_vector=unit_rows(mean[None].astype(np.float32))[0],
            jpegs=jpegs,
            stats=None if stain is None else SectionStats(stain=stain, centre=centre),
            side_px=side_px,
            aggregate=None if self.aggregator is None else self.aggregator.aggregate(in_space, features),
        )

    def _stain_at(self, image: SlideImage, xy_px: Points, side_px: float) -> Floats:
        some = xy_px[np.unique(np.linspace(0, len(xy_px) - 1, min(_STAIN_SAMPLE, len(xy_px))).astype(np.int64))]
        out_px = self.space.image.patch.side_px
        with self.clock.stage("tile"):
            pixels = np.stack([image.read(float(x), float(y), side_px, out_px) for x, y in some])
        with self.clock.stage("encode"):
            return self.space.image.stain_of(pixels)

    def _cut(self, image: SlideImage | None, xy_px: Points, side_px: float, slide: str) -> tuple[bytes | None, ...]:
        """Thumbnail of each tile, where there is a picture to cut it from."""
        if image is None or not self.thumbnails:
            return (None,) * len(xy_px)
        jpegs = []
        with self.clock.stage("tile"):
            for done, (x, y) in enumerate(xy_px):
                jpegs.append(patch_jpeg(image.read(float(x), float(y), side_px, self.space.image.patch.side_px)))
                if done % _BATCH == 0:
                    self.progress.update("encode", done, len(xy_px), slide)
        self.progress.update("encode", len(xy_px), len(xy_px), slide)
        return tuple(jpegs)


def middle_of(pixels: Patches, side_um: float, patch: PatchSpec) -> Patches:
    """The middle `patch.side_um` of patches that cover `side_um`, resampled to uint8 `(n, side_px, side_px, 3)`."""
    from PIL import Image

    n_px = pixels.shape[1]
    kept = min(1.0, patch.side_um / side_um) * n_px
    first = (n_px - kept) / 2
    box = (first, first, first + kept, first + kept)
    size = (patch.side_px, patch.side_px)
    resized = (Image.fromarray(one).resize(size, Image.Resampling.BILINEAR, box=box) for one in pixels)
    return np.stack([np.asarray(one, dtype=np.uint8) for one in resized])


def _by_position(tiles: TileFeatures, expression: Expression | None, slide: str) -> TileJoin | None:
    if expression is None or expression.xy_px is None:
        return None
    return join_by_position(expression.xy_px, tiles, slide=slide)


def _by_barcode(
    tiles: HestPatches, expression: Expression | None, slide: str
) -> tuple[TileJoin | None, Expression | None, Points]:
    """How spots and patches join, the spots with positions, and the patches' centres."""
    if expression is None:
        return None, None, tiles.xy_px
    joins = join_by_barcode(expression, tiles, slide=slide)
    if expression.xy_px is not None:
        return joins, expression, patches_on_spots(tiles, joins.tile_of, expression.xy_px, slide=slide)
    if (joins.tile_of < 0).any():
        raise JoinError(f"Slide {slide}: {int((joins.tile_of < 0).sum())} spots have neither a position nor a patch.")
    return joins, replace(expression, xy_px=tiles.xy_px[joins.tile_of]), tiles.xy_px


def _taken(side: ImageSide, joins: TileJoin) -> tuple[Vectors, tuple[bytes | None, ...]]:
    has = joins.tile_of >= 0
    vectors = np.where(has[:, None], side.vectors[joins.tile_of], np.float32(0))
    return vectors, tuple(side.jpegs[tile] if tile >= 0 else None for tile in joins.tile_of.tolist())


def _with_spots(side: ImageSide, joins: TileJoin | None) -> ImageSide:
    if joins is None:
        return side
    vectors, jpegs = _taken(side, joins)
    return replace(side, vectors=np.concatenate([side.vectors, vectors]), jpegs=(*side.jpegs, *jpegs))


def _only_spots(side: ImageSide, joins: TileJoin) -> ImageSide:
    vectors, jpegs = _taken(side, joins)
    return replace(side, vectors=vectors, jpegs=jpegs, aggregate=_shown_by_spots(side.aggregate, joins))


def _shown_by_spots(aggregate: Aggregate | None, joins: TileJoin) -> Aggregate | None:
    """The aggregate with spots in place of patches; a patch without a spot is no item and shows nothing (-1)."""
    if aggregate is None:
        return None
    spot_of = {tile: spot for spot, tile in reversed(list(enumerate(joins.tile_of.tolist())))}
    spots = [spot_of.get(tile, -1) for tile in aggregate.nearest.tolist()]
    return replace(aggregate, nearest=np.array(spots, dtype=np.int64))


def _reports(joins: TileJoin | None) -> tuple[str, ...]:
    return () if joins is None else (joins.report,)
