"""The pixels of one slide turned into features: patches cut, stained, encoded and kept as JPEGs, in small batches."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from encoders.aggregates import Aggregate, SlideAggregator
from encoders.contracts import Floats, ImageEncoder, Patches, SectionStats, Vectors, unit_rows
from indexer.errors import JoinError
from indexer.progress import Progress, StageClock
from indexer.slides import Pixels, SlideFacts, SlideImage
from indexer.tissue.quality import Mask, TileJudge, said_of, score_tiles
from indexer.tissue.tiles import read_patches

BATCH = 32
_STAIN_SAMPLE = 256
_JPEG_QUALITY = 85
_PATCH_PX = 256  # of a kept patch: what a gallery shows, at a quarter of the bytes of the widest patches
_THUMBNAIL_PX = 1_600

Points = npt.NDArray[np.float64]
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class ImageSide:
    """What the image of a slide gives.

    Attributes
    ----------
    vectors : float32 (n, dim)
        Unit vectors of the patches asked for, centred on the section.
    slide_vector : float32 (dim,)
        Unit mean of the same patches centred on the training sections: centred on its own mean it would be about zero.
    jpegs : tuple of (bytes or None)
        Thumbnail of each patch.
    stats : SectionStats or None
        Stain and centre of the section; `None` where its tiles came as features and there is no picture to measure a
        stain on that the encoder needs.
    side_px : float
        Side of a patch in level-0 pixels.
    aggregate : Aggregate or None
        What stands for the slide besides its mean, if that was asked for; `nearest` numbers the patches.
    kept : bool (n_asked,) or None
        Which of the patches asked for these are, where some were left out.
    note : str or None
        What was left out and why, for the user.
    """

    vectors: Vectors
    slide_vector: Vectors
    jpegs: tuple[bytes | None, ...]
    stats: SectionStats | None
    side_px: float
    aggregate: Aggregate | None = None
    kept: Mask | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """Thumbnail of a whole slide: JPEG, and thumbnail pixels per level-0 pixel."""

    jpeg: bytes
    scale: float


@dataclass(frozen=True, slots=True)
class PatchEncoder:
    """Encodes patches of slides, all at the encoder's scale; `clock` and `progress` follow it."""

    encoder: ImageEncoder
    thumbnails: bool
    progress: Progress
    clock: StageClock
    aggregator: SlideAggregator | None = None

    def encode(self, image: SlideImage, xy_px: Points, *, mpp: float, slide: str, n_tiles: int = 0) -> ImageSide:
        """Encode the patches round some points of one slide.

        Pixels are held two batches at a time, of which one is read while the other is encoded; features are kept
        until the section's centre, their mean, is known. Tiles that are plainly blurred or inked are left out.

        Parameters
        ----------
        image : SlideImage
            The slide.
        xy_px : float64 (n, 2)
            Centres in level-0 pixels, at least one.
        mpp : float
            Micrometres per level-0 pixel.
        slide : str
            Its name, for the progress.
        n_tiles : int
            The first points are this many tiles, which may be left out; the others are spots, which never are.
        """
        side_px = self.encoder.patch.side_um / mpp
        sample = np.concatenate(list(self._read(image, _spread(xy_px), side_px)))
        sieve = _Sieve(TileJudge.of(sample), n_tiles)
        with self.clock.stage("encode"):
            stain = self.encoder.stain_of(sample)
        del sample
        features: list[Floats] = []
        jpegs: list[bytes | None] = []
        kept = (sieve.take(pixels) for pixels in self._read(image, xy_px, side_px))
        for pixels, pictures in _ahead(self._with_jpegs(kept)):
            jpegs += pictures
            if len(pixels):
                with self.clock.stage("encode"):
                    features.append(self.encoder.features(pixels, stain=stain))
            self.progress.update("encode", min(len(xy_px), sieve.n_seen), len(xy_px), slide)
        with self.clock.stage("encode"):
            side = self._project(np.concatenate(features), stain, tuple(jpegs), side_px)
        return replace(side, kept=sieve.kept, note=sieve.note)

    def _read(self, image: SlideImage, xy_px: Points, side_px: float) -> Iterator[Patches]:
        batches = read_patches(image, xy_px, side_px=side_px, out_px=self.encoder.patch.side_px, batch=BATCH)
        for _ in range(0, len(xy_px), BATCH):
            with self.clock.stage("tile"):
                pixels = next(batches)
            yield pixels

    def _with_jpegs(self, batches: Iterator[Patches]) -> Iterator[tuple[Patches, list[bytes | None]]]:
        for pixels in batches:
            with self.clock.stage("tile"):
                jpegs = [patch_jpeg(patch) if self.thumbnails else None for patch in pixels]
            yield pixels, jpegs

    def _project(self, features: Floats, stain: Floats, jpegs: tuple[bytes | None, ...], side_px: float) -> ImageSide:
        stats = SectionStats(stain=stain, centre=features.mean(axis=0, dtype=np.float64).astype(np.float32))
        in_space = self.encoder.project(features)
        mean = in_space.mean(axis=0, dtype=np.float64)
        return ImageSide(
            vectors=self.encoder.project(features, centre=stats.centre),
            slide_vector=unit_rows(mean[None].astype(np.float32))[0],
            jpegs=jpegs,
            stats=stats,
            side_px=side_px,
            aggregate=None if self.aggregator is None else self.aggregator.aggregate(in_space, features),
        )


@dataclass(slots=True)
class _Sieve:
    """Takes the tiles that are plainly blurred or inked out of batches; what comes after the tiles passes."""

    judge: TileJudge
    n_tiles: int
    n_seen: int = 0
    n_blurred: int = 0
    n_inked: int = 0
    _kept: list[Mask] = field(default_factory=list)

    def take(self, pixels: Patches) -> Patches:
        """The patches of the next batch that stay."""
        n = min(len(pixels), max(0, self.n_tiles - self.n_seen))
        self.n_seen += len(pixels)
        stays = np.ones(len(pixels), dtype=np.bool_)
        if n:
            blurred, inked = self.judge.judge(score_tiles(pixels[:n]))
            stays[:n] = ~(blurred | inked)
            self.n_blurred += int((blurred & ~inked).sum())
            self.n_inked += int(inked.sum())
        self._kept.append(stays)
        return pixels if stays.all() else pixels[stays]

    @property
    def kept(self) -> Mask | None:
        """Which patches stayed, `None` if all did."""
        return np.concatenate(self._kept) if self.n_blurred or self.n_inked else None

    @property
    def note(self) -> str | None:
        """What was left out."""
        return said_of(self.n_blurred, self.n_inked, self.n_tiles)


def check_inside(xy_px: Points, image: SlideImage, facts: SlideFacts) -> None:
    """Raise `JoinError` unless all positions lie on the image, which swapped axes or a wrong scale would break."""
    width, height = image.size_px
    x, y = xy_px.T
    outside = ~((x >= 0) & (x < width) & (y >= 0) & (y < height))
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise JoinError(
            f"Slide {facts.slide}: {int(outside.sum())} of {len(xy_px)} positions lie outside the image, the first "
            f"at x {x[first]:.0f}, y {y[first]:.0f} px; expected within {width} x {height}. Check that x and y are not "
            "swapped, and that positions are in pixels of this image."
        )


def overview(image: SlideImage) -> Overview:
    """Thumbnail of the slide, its longer side at most 1600 px."""
    pixels = image.thumbnail(_THUMBNAIL_PX)
    return Overview(_to_jpeg(pixels, _THUMBNAIL_PX), pixels.shape[1] / image.size_px[0])


def patch_jpeg(pixels: Pixels) -> bytes:
    """A patch `(side, side, 3)` as JPEG, at most 256 px wide."""
    return _to_jpeg(pixels, _PATCH_PX)


def _to_jpeg(pixels: Pixels, max_px: int) -> bytes:
    from PIL import Image

    picture, buffer = Image.fromarray(pixels), io.BytesIO()
    picture.thumbnail((max_px, max_px), Image.Resampling.BICUBIC)
    picture.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _spread(xy_px: Points) -> Points:
    """Points spread evenly over a list, the same each time: enough to know a section's stain by."""
    return xy_px[np.unique(np.linspace(0, len(xy_px) - 1, min(_STAIN_SAMPLE, len(xy_px))).astype(np.int64))]


def _ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """The same items, the next one made by another thread while the last one is used."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as thread:
        pending = thread.submit(next, items, None)
        while (item := pending.result()) is not None:
            pending = thread.submit(next, items, None)
            yield item
