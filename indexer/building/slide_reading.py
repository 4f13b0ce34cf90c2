"""One slide as it is read: its counts, its tiles and their pixels, a batch at a time.

Nothing here knows an encoder or an index, so it runs in a process of its own as well as in that of the build. Of each
slide a spread sample of patches comes first, by which its stain and its focus are known, then the other patches,
neighbours one after the other; each is read once.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from encoders.contracts import Patches
from indexer.building.checks import check_holds_tile, check_name, check_rows, mpp_of, positions_of
from indexer.building.report import genes_row
from indexer.errors import SlideError
from indexer.progress import StageClock, peak_rss_mb
from indexer.slides import Expression, HasRemarks, SlideFacts, SlideImage, SlideSource
from indexer.tissue.annotated import HasRegions
from indexer.tissue.patches import Overview, overview, patch_jpeg
from indexer.tissue.quality import TileJudge, TileScores, score_tiles
from indexer.tissue.tiles import LaidTiles, lay_tiles, local_order, read_patches

Rows = npt.NDArray[np.int64]
Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
RowKind = Literal["spot", "cell", "transcriptome"]

#: Patches by which the stain of a section is known.
STAIN_SAMPLE = 256


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """How slides are read: patches of `side_um` micrometres as `side_px` pixels, tiles every `stride_um`.

    `batch` is the number of patches that are handed on at once.
    """

    side_um: float
    side_px: int
    stride_um: float
    thumbnails: bool
    batch: int


@dataclass(frozen=True, slots=True)
class SlideHead:
    """All of a slide but its patches.

    Attributes
    ----------
    facts, kind, image_path, size_px, overview
        As the index stores them.
    tiles : LaidTiles
        Tissue tiles, of which some may turn out to be blurred or inked.
    expression : Expression or None
        Counts, as read.
    side_px : float
        Side of a patch in level-0 pixels.
    n_patches, n_sample : int
        Patches there are, the tiles and then the rows that have a position; and how many of them come first.
    """

    facts: SlideFacts
    kind: RowKind
    image_path: str | None
    size_px: tuple[int, int] | None
    overview: Overview | None
    tiles: LaidTiles
    expression: Expression | None
    side_px: float
    n_patches: int
    n_sample: int


@dataclass(frozen=True, slots=True)
class PatchBatch:
    """Patches: their numbers int64 (n,), pixels uint8 (n, side_px, side_px, 3) and JPEGs."""

    rows: Rows
    pixels: Patches
    jpegs: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class SampleJudged:
    """Which patches of the sample are to be kept, bool (n_sample,); no later batch has one that is not."""

    stays: Mask


@dataclass(frozen=True, slots=True)
class SlideEnd:
    """The slide is read: what is to be said of it, what it took, and the memory of the process.

    Attributes
    ----------
    remarks : tuple of str
        Sentences for the user.
    left_out : dict
        Tiles left out by reason: `blur`, `pen`.
    genes : mapping or None
        What became of its gene identifiers, where its reader says it.
    seconds : dict
        Spent by stage.
    peak_rss_mb : float
        Largest resident memory of the process so far, MiB.
    """

    remarks: tuple[str, ...]
    left_out: dict[str, int]
    genes: Mapping[str, Any] | None
    seconds: dict[str, float]
    peak_rss_mb: float


SlidePart = SlideHead | PatchBatch | SampleJudged | SlideEnd


def read_slide(source: SlideSource, plan: ReadPlan) -> Generator[SlidePart, None, None]:
    """The parts of a slide: its head, its patches, its end.

    Raises
    ------
    SlideError, CountsError, JoinError, RegionError
        If its image, counts or regions are unusable, or do not fit together.
    """
    clock = StageClock()
    check_name(source.facts.slide)
    with clock.stage("read"):
        expression = source.read_expression()
        image = source.open_image()
    if expression is not None:
        check_rows(expression, source.facts.slide)
    try:
        if image is not None:
            left_out = yield from _pictured(source, image, expression, plan, clock)
        elif expression is not None:
            left_out = {}
            yield _head(source, None, LaidTiles(np.empty((0, 2)), ()), expression, None, 0.0, 0)
        else:
            name = source.facts.slide
            raise SlideError(f"Slide {name} has neither image nor counts; expected one of them at least.")
    finally:
        if image is not None:
            image.close()
    remarks = source.remarks() if isinstance(source, HasRemarks) else ()
    yield SlideEnd(tuple(remarks), left_out, genes_row(source), clock.seconds, peak_rss_mb())


def _pictured(
    source: SlideSource, image: SlideImage, expression: Expression | None, plan: ReadPlan, clock: StageClock
) -> Generator[SlidePart, None, dict[str, int]]:
    facts = source.facts
    mpp = mpp_of(facts)
    with clock.stage("tile"):
        regions = source.read_regions() if isinstance(source, HasRegions) else None
        tiles = lay_tiles(image, mpp, plan.side_um, plan.stride_um, slide=facts.slide, regions=regions)
        whole = overview(image) if plan.thumbnails else None
    centres = np.vstack([tiles.xy_px, positions_of(expression, image, facts)])
    if not len(centres):
        check_holds_tile(image, facts, plan.side_um)
        raise SlideError(
            f"Slide {facts.slide}: no tissue was found on it, and it has no spots. Check that it is a stained "
            "section and that its mpp is right."
        )
    side_px = plan.side_um / mpp
    yield _head(source, image, tiles, expression, whole, side_px, len(centres))
    reader = _PatchReader(image, centres, side_px, plan, clock)
    sample = spread(len(centres))
    sieve = _Sieve(len(tiles.xy_px))
    for batch in reader.read(sample):
        sieve.score(batch)
        yield batch
    yield SampleJudged(sieve.judge_sample())
    rest = np.setdiff1d(np.arange(len(centres)), sample)
    for batch in reader.read(rest[local_order(centres[rest], side_px)], sieve):
        yield batch
    n_without = tiles.n_grid - len(tiles.xy_px)
    return ({"no tissue": n_without} if n_without else {}) | sieve.left_out


def spread(n: int) -> Rows:
    """Numbers spread evenly over `n` patches, the same each time: enough to know a section's stain by."""
    return np.unique(np.linspace(0, n - 1, min(STAIN_SAMPLE, n)).astype(np.int64))


def _head(
    source: SlideSource,
    image: SlideImage | None,
    tiles: LaidTiles,
    expression: Expression | None,
    whole: Overview | None,
    side_px: float,
    n_patches: int,
) -> SlideHead:
    return SlideHead(
        facts=source.facts,
        kind=source.kind,
        image_path=None if source.image_path is None else str(source.image_path),
        size_px=None if image is None else image.size_px,
        overview=whole,
        tiles=tiles,
        expression=expression,
        side_px=side_px,
        n_patches=n_patches,
        n_sample=len(spread(n_patches)),
    )


@dataclass(frozen=True, slots=True)
class _PatchReader:
    image: SlideImage
    centres: Points
    side_px: float
    plan: ReadPlan
    clock: StageClock

    def read(self, rows: Rows, sieve: "_Sieve | None" = None) -> Iterator[PatchBatch]:
        """Patches of some numbers, without those that a sieve leaves out."""
        size, batch = self.plan.side_px, self.plan.batch
        batches = read_patches(self.image, self.centres[rows], side_px=self.side_px, out_px=size, batch=batch)
        for start in range(0, len(rows), batch):
            with self.clock.stage("tile"):
                some, pixels = rows[start : start + batch], next(batches)
                if sieve is not None:
                    stays = sieve.stays(some, pixels)
                    some, pixels = (some, pixels) if stays.all() else (some[stays], pixels[stays])
                jpegs = tuple(patch_jpeg(one) if self.plan.thumbnails else None for one in pixels)
            if len(some):
                yield PatchBatch(some, pixels, jpegs)


@dataclass(slots=True)
class _Sieve:
    """Finds the tiles that are plainly blurred or inked, by a sample of the slide; patches of spots all stay."""

    n_tiles: int
    n_blurred: int = 0
    n_inked: int = 0
    _rows: list[Rows] = field(default_factory=list)
    _scores: list[TileScores] = field(default_factory=list)
    _judge: TileJudge | None = None

    def score(self, batch: PatchBatch) -> None:
        """Take note of a part of the sample."""
        self._rows.append(batch.rows)
        self._scores.append(score_tiles(batch.pixels))

    def judge_sample(self) -> Mask:
        """Which patches of the sample stay."""
        names = ("focus", "variance", "ink")
        whole = TileScores(*(np.concatenate([getattr(part, name) for part in self._scores]) for name in names))
        self._judge = TileJudge.of_scores(whole)
        return self._count(np.concatenate(self._rows), whole)

    def stays(self, rows: Rows, pixels: Patches) -> Mask:
        """Which of some patches stay."""
        is_tile = rows < self.n_tiles
        stays = np.ones(len(rows), dtype=np.bool_)
        stays[is_tile] = self._count(rows[is_tile], score_tiles(pixels[is_tile]))
        return stays

    @property
    def left_out(self) -> dict[str, int]:
        """Tiles left out so far, by reason."""
        return {reason: n for reason, n in (("blur", self.n_blurred), ("pen", self.n_inked)) if n}

    def _count(self, rows: Rows, scores: TileScores) -> Mask:
        if self._judge is None:
            raise ValueError("The sample has not been judged yet.")
        is_tile = rows < self.n_tiles
        blurred, inked = (found & is_tile for found in self._judge.judge(scores))
        self.n_blurred += int((blurred & ~inked).sum())
        self.n_inked += int(inked.sum())
        return np.asarray(~(blurred | inked), dtype=np.bool_)
