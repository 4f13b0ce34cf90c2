"""The encoder of a slide's patches: when its model is opened, in whatever order patches come."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np

from encoders.contracts import PatchSpec
from encoders.registry import open_space
from indexer.building.patch_encoding import PatchEncoder
from indexer.building.slide_reading import PatchBatch, SampleJudged, SlideEnd, SlideHead, SlidePart
from indexer.progress import StageClock
from indexer.slides import SlideFacts
from indexer.tissue.tiles import LaidTiles

N, SIDE, DIM = 12, 8, 16
FACTS = SlideFacts("a", "b", "c", "none", "none", "H&E", "none", "CC0-1.0", "")


class Recording:
    """Takes the mean colour for features, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.info = open_space("mini").image.info
        self.patch = PatchSpec(side_um=8.0, side_px=SIDE)

    def open_model(self, example):
        assert example.shape == (1, SIDE, SIDE, 3)
        self.asked.append("open")

    def stain_of(self, patches):
        self.asked.append("stain")
        return np.zeros((2, 3), dtype=np.float32)

    def features(self, patches, *, stain=None):
        return np.repeat(patches[:, :1, 0, 0].astype(np.float32), DIM, axis=1)

    def project(self, features, *, centre=None):
        return features


def parts(order) -> Iterator[SlidePart]:
    pixels = np.broadcast_to(np.arange(N, dtype=np.uint8)[:, None, None, None], (N, SIDE, SIDE, 3))
    sample, rest = np.arange(0, N, 3), order[order % 3 > 0]
    for rows in np.split(sample, 2):
        yield PatchBatch(rows, pixels[rows], (None,) * len(rows))
    yield SampleJudged(np.ones(len(sample), dtype=np.bool_))
    for rows in np.split(rest, 4):
        yield PatchBatch(rows, pixels[rows], (None,) * len(rows))
    yield SlideEnd((), {}, None, {}, 0.0)


def test_the_model_opens_once_while_the_sample_is_read_and_rows_come_in_order():
    head = SlideHead(FACTS, "spot", None, (9, 9), None, LaidTiles(np.zeros((N, 2)), (None,) * N), None, 8.0, N, N // 3)
    encoder = Recording()
    with ThreadPoolExecutor(1) as threads:
        patches = PatchEncoder(encoder, None, threads, nullcontext(), lambda *_: None)
        side, kept, _ = patches.encode(head, parts(np.random.default_rng(0).permutation(N)), StageClock())
    assert sorted(encoder.asked) == ["open", "stain"]
    assert kept.all()
    assert side.vectors[:, 0].tolist() == list(range(N))
