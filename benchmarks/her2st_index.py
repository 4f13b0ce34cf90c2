"""An index of her2st in the shipped space, which has not seen patient B: made once for several measurements."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from encoders.registry import open_space
from indexer.building.build import build_index
from indexer.datasets.manifest import load_manifest
from indexer.slides import Expression, SlideFacts, SlideImage, SlideSource
from indexer.sources import open_sources
from search.engine import Engine
from search.training.run import MINI_DATA

#: Two patients with pictures, a section of each of the others, and B1, whose spots are labelled.
QUICK_SLIDES = ("A1", "B1", "B4", "C2", "D1", "E1", "F1", "G2", "H1")
_HALVED = ("B4",)  # pictures take most of the time
_STRIDE_UM, _QUICK_STRIDE_UM = 200.0, 2_000.0  # the pictures of spots are what is measured, not those of tiles


@contextmanager
def her2st_engine(slides: Sequence[str] | None = None) -> Iterator[Engine]:
    """An engine over some sections, or over all."""
    quick = slides == QUICK_SLIDES
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder, "index")
        sources: list[SlideSource] = list(open_sources(MINI_DATA, manifest=load_manifest(), slides=slides))
        if quick:
            sources = [_EverySecond(one) if one.facts.slide in _HALVED else one for one in sources]
        build_index(db, sources, open_space("mini"), tile_stride_um=_QUICK_STRIDE_UM if quick else _STRIDE_UM)
        yield Engine.open(db)


@dataclass(frozen=True, slots=True)
class _EverySecond:
    """A section of which every second spot is read."""

    source: SlideSource

    @property
    def facts(self) -> SlideFacts:
        return self.source.facts

    @property
    def kind(self) -> Literal["spot", "cell", "transcriptome"]:
        return self.source.kind

    @property
    def files(self) -> tuple[Path, ...]:
        return self.source.files

    @property
    def image_path(self) -> Path | None:
        return self.source.image_path

    def open_image(self) -> SlideImage | None:
        return self.source.open_image()

    def read_expression(self) -> Expression | None:
        read = self.source.read_expression()
        if read is None:
            return None
        xy, labels = read.xy_px, read.labels
        return replace(
            read,
            names=read.names[::2],
            counts=read.counts[::2],
            xy_px=None if xy is None else xy[::2],
            labels=None if labels is None else labels[::2],
        )
