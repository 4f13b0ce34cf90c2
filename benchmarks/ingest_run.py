"""One part of the measurement of ingest, in a process of its own: `python -m benchmarks.ingest_run PART SLIDE ...`.

Each part prints one line of JSON. `reading` and `encoding` are done alone, in one process, and cost processor time;
`run` is a whole ingest, of which the process that started it takes wall time and memory.
"""

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

from indexer.building.patch_encoding import PatchEncoder
from indexer.building.slide_reading import (
    PatchBatch,
    ReadPlan,
    SampleJudged,
    SlideEnd,
    SlideHead,
    SlidePart,
    read_slide,
)
from indexer.progress import StageClock
from indexer.readers.openslide_image import OpenSlideSlide
from indexer.slides import SlideFacts

STRIDE_UM = 200.0
_BATCH = 32
_ENCODED = 160  # patches, encoded again and again until they are as many as the slide has


def slide_at(path: Path) -> OpenSlideSlide:
    """The slide of a file."""
    facts = SlideFacts(
        path.stem, "generated", "benchmark", "none", "none", "H&E", "none", "CC0-1.0", "", generated=True
    )
    return OpenSlideSlide(facts, path)


def read_plan(stride_um: float) -> ReadPlan:
    """How the default space's slides are read."""
    from encoders.registry import open_space

    patch = open_space("mini").image.patch
    return ReadPlan(patch.side_um, patch.side_px, stride_um, thumbnails=True, batch=_BATCH)


def reading(path: Path, stride_um: float) -> dict[str, Any]:
    """Read all of a slide: tissue, tiles, their faults, JPEGs."""
    plan = read_plan(stride_um)
    start = time.process_time()
    n = sum(len(part.rows) for part in read_slide(slide_at(path), plan) if isinstance(part, PatchBatch))
    return {"n": n, "core_s": time.process_time() - start}


def encoding(path: Path, stride_um: float, n: int) -> dict[str, Any]:
    """Encode as many patches as the slide has, those of its beginning over and over, stain and projection included."""
    from encoders.registry import open_space

    space = open_space("mini")
    parts = list(islice(_pictured(path, stride_um), 1 + -(-min(n, _ENCODED) // _BATCH)))
    head, batches = parts[0], [part for part in parts if isinstance(part, PatchBatch)]
    if not isinstance(head, SlideHead):
        raise TypeError(f"Got {type(head).__name__}; expected the head of a slide.")
    space.image.features(batches[0].pixels[:1])  # opens the model
    with ThreadPoolExecutor(2) as threads:
        encoder = PatchEncoder(space.image, None, threads, nullcontext(), lambda *_: None)
        start, began = time.process_time(), time.perf_counter()
        encoder.encode(head, _replayed(head, batches), StageClock())
        return {"n": head.n_patches, "core_s": time.process_time() - start, "wall_s": time.perf_counter() - began}


def _pictured(path: Path, stride_um: float) -> Iterator[SlidePart]:
    return read_slide(slide_at(path), read_plan(stride_um))


def _replayed(head: SlideHead, batches: list[PatchBatch]) -> Iterator[SlidePart]:
    import numpy as np

    place, sample_ends = 0, head.n_sample
    for turn in range(head.n_patches):
        batch = batches[turn % len(batches)]
        n = min(len(batch.rows), (sample_ends if place < sample_ends else head.n_patches) - place)
        if n:
            yield PatchBatch(np.arange(place, place + n), batch.pixels[:n], batch.jpegs[:n])
        place += n
        if place == sample_ends and n:
            yield SampleJudged(np.ones(sample_ends, dtype=np.bool_))
        if place == head.n_patches:
            break
    yield SlideEnd((), {}, None, {}, 0.0)


def run(path: Path, stride_um: float, db: Path, workers: int) -> dict[str, Any]:
    """Ingest the slide into a new index."""
    from encoders.registry import open_space
    from indexer.building.build import build_index
    from indexer.building.run_options import RunOptions

    report = build_index(
        db, [slide_at(path)], open_space("mini"), tile_stride_um=stride_um, run=RunOptions(workers=workers)
    )
    return {"n": report.slides[0].n_tiles, "wall_s": report.wall_s, "failed": len(report.failed)}


def eager(path: Path, stride_um: float, n: int) -> dict[str, Any]:
    """PyTorch as it comes, on patches of the slide's beginning."""
    from encoders.mobilenet import MobileNetTexture

    parts = list(islice(_pictured(path, stride_um), 3))
    pixels = next(part.pixels for part in parts if isinstance(part, PatchBatch))[: min(n, _BATCH)]
    import torch

    forward = MobileNetTexture()._load()  # noqa: SLF001  # the network itself, which nothing else hands out
    with torch.inference_mode():
        forward(torch.from_numpy(pixels[:2]))
        start, began = time.process_time(), time.perf_counter()
        forward(torch.from_numpy(pixels))
        return {"n": len(pixels), "core_s": time.process_time() - start, "wall_s": time.perf_counter() - began}


def main() -> None:
    """Do one part."""
    part, path, stride_um, *rest = sys.argv[1:]
    slide, stride = Path(path), float(stride_um)
    if part == "reading":
        found = reading(slide, stride)
    elif part == "encoding":
        found = encoding(slide, stride, int(rest[0]))
    elif part == "eager":
        found = eager(slide, stride, int(rest[0]))
    else:
        found = run(slide, stride, Path(rest[0]), int(rest[1]))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
