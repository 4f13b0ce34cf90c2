"""Patches of one slide turned into features as they arrive, and the features into its image side."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from encoders.aggregates import SlideAggregator
from encoders.contracts import Floats, ImageEncoder, OpensAhead, Patches, SectionStats, unit_rows
from indexer.building.slide_reading import PatchBatch, Rows, SampleJudged, SlideEnd, SlideHead, SlidePart
from indexer.progress import StageClock
from indexer.tissue.patches import ImageSide

Mask = npt.NDArray[np.bool_]
#: Batches of a slide that wait for the encoder besides the one it works on, so that it never waits for them.
_AHEAD = 2


@dataclass(frozen=True, slots=True)
class PatchEncoder:
    """Encodes the patches of slides.

    Attributes
    ----------
    encoder : ImageEncoder
        Of the space.
    aggregator : SlideAggregator or None
        What else than the mean stands for a slide.
    threads : Executor
        Where batches are encoded: with two threads one moves the stain of a batch while the other runs the network.
    sample_room : context manager
        Held while a slide's sample is in memory, which bounds how many of them there are.
    on_patches : callable
        Is told the slide and how many more of its patches are done.
    """

    encoder: ImageEncoder
    aggregator: SlideAggregator | None
    threads: Executor
    sample_room: AbstractContextManager[object]
    on_patches: Callable[[str, int], None]

    def encode(
        self, head: SlideHead, parts: Iterator[SlidePart], clock: StageClock
    ) -> tuple[ImageSide, Mask, SlideEnd]:
        """The image side of a slide, which of its patches were kept, and what was said at its end.

        Features are kept until the section's centre, their mean, is known.
        """
        found = _Found(np.zeros(head.n_patches, dtype=np.bool_))
        with self.sample_room:
            sample = _read_sample(head, self._opening(parts), self.encoder.patch.side_px)
            with clock.stage("encode"):
                stain = self.encoder.stain_of(sample.pixels)
            batches = sample.batches()
            del sample
            self._encode(head, batches, stain, found, clock)
            del batches
        end = self._encode(head, parts, stain, found, clock)
        if end is None:
            raise ValueError(f"The parts of slide {head.facts.slide} have no end.")
        order = np.argsort(np.concatenate(found.rows))
        features = np.concatenate(found.features)[order]
        found.kept[np.concatenate(found.rows)] = True
        jpegs = tuple(found.jpegs[i] for i in order.tolist())
        with clock.stage("encode"):
            return self._project(features, stain, jpegs, head.side_px), found.kept, end

    def _opening(self, parts: Iterator[SlidePart]) -> Iterator[SlidePart]:
        """The same parts; at the first patches the encoder opens its model, while the others are read."""
        opening: Future[None] | None = None
        try:
            for part in parts:
                if opening is None and isinstance(part, PatchBatch) and isinstance(self.encoder, OpensAhead):
                    opening = self.threads.submit(self.encoder.open_model, part.pixels[:1].copy())
                yield part
        finally:
            if opening is not None:
                opening.cancel()

    def _encode(
        self, head: SlideHead, parts: Iterator[SlidePart], stain: Floats, found: "_Found", clock: StageClock
    ) -> SlideEnd | None:
        """Encode batches until the slide ends, or there are no more."""
        waiting: deque[tuple[PatchBatch, Future[tuple[Floats, float]]]] = deque()

        def take() -> None:
            batch, future = waiting.popleft()
            features, seconds = future.result()
            clock.add("encode", seconds)
            found.add(batch, features)
            self.on_patches(head.facts.slide, len(batch.rows))

        end = None
        try:
            for part in parts:
                if isinstance(part, SlideEnd):
                    end = part
                    break
                if isinstance(part, PatchBatch) and len(part.rows):
                    waiting.append((part, self.threads.submit(self._features, part.pixels, stain)))
                    if len(waiting) > _AHEAD:
                        take()
            while waiting:
                take()
        finally:
            for _, future in waiting:
                future.cancel()
        return end

    def _features(self, pixels: Patches, stain: Floats) -> tuple[Floats, float]:
        start = time.perf_counter()
        return self.encoder.features(pixels, stain=stain), time.perf_counter() - start

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
class _Found:
    """Features of a slide's patches in the order they came in; their pixels are let go of."""

    kept: Mask
    rows: list[Rows] = field(default_factory=list)
    features: list[Floats] = field(default_factory=list)
    jpegs: list[bytes | None] = field(default_factory=list)

    def add(self, batch: PatchBatch, features: Floats) -> None:
        self.rows.append(batch.rows)
        self.features.append(features)
        self.jpegs += batch.jpegs


@dataclass(slots=True)
class _Sample:
    """The patches by which the stain of a slide is known, all of them and those that stay."""

    pixels: Patches
    parts: list[tuple[int, Rows, tuple[bytes | None, ...]]]
    stays: Mask

    def batches(self) -> Iterator[PatchBatch]:
        """What is to be encoded of it, in the batches it came in."""
        for start, rows, jpegs in self.parts:
            kept = np.flatnonzero(self.stays[start : start + len(rows)])
            yield PatchBatch(rows[kept], self.pixels[start + kept], tuple(jpegs[i] for i in kept.tolist()))


def _read_sample(head: SlideHead, parts: Iterator[SlidePart], side_px: int) -> _Sample:
    pixels = np.empty((head.n_sample, side_px, side_px, 3), dtype=np.uint8)
    found: list[tuple[int, Rows, tuple[bytes | None, ...]]] = []
    n = 0
    for part in parts:
        if isinstance(part, SampleJudged):
            return _Sample(pixels[:n], found, part.stays)
        if isinstance(part, PatchBatch):
            pixels[n : n + len(part.rows)] = part.pixels
            found.append((n, part.rows, part.jpegs))
            n += len(part.rows)
    raise ValueError(f"The sample of slide {head.facts.slide} has no end.")
