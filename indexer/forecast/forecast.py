"""What an ingest of some slides would give, take and cost on this machine."""

import os
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import scipy.sparse as sp

from encoders.contracts import Patches
from encoders.space import Space
from indexer.building.shards import name_of
from indexer.building.slide_reading import ReadPlan
from indexer.errors import JoinError
from indexer.forecast.looks import Probe, SlideLook, look_at
from indexer.progress import Progress, Silent
from indexer.runs.next_steps import next_step
from indexer.slides import Expression, SlideSource

#: Patches and rows on which the encoders are timed, once they are warm, and seconds after which that is enough.
_TIMED_PATCHES, _TIMED_ROWS, _TIMED_S = 64, 256, 0.5
_BATCH = 32
#: Share of the bound set by reading and encoding that a run reaches, and what each slide costs besides.
_EFFICIENCY, _PER_SLIDE_S = 0.85, 0.3
#: A vector is in the table and in its sidecar, 4 bytes a number each; beside it there are the codes of the search.
_VECTOR_BYTES, _CODE_BYTES = 8, 0.2
#: Of a stored count (gene and value), compressed by Lance; of the metadata of an item; of a slide's own thumbnail.
_COUNT_BYTES, _ITEM_BYTES, _SLIDE_BYTES = 6, 120, 200_000


@dataclass(frozen=True, slots=True)
class Forecast:
    """What an ingest would give, take and cost.

    Attributes
    ----------
    looks : tuple of SlideLook
        Every slide, in its order.
    there : frozenset of str
        Slides that the index has already; they are read again only if their files changed.
    n_tiles, n_items : int
        Of the slides that are not there and will not fail.
    bytes_index : int
        What they will take on the disk.
    seconds : float
        What they will take on this machine.
    patches_per_s, rows_per_s : float or None
        Speed of the encoders as measured; `None` where nothing was there to measure it on.
    """

    looks: tuple[SlideLook, ...]
    there: frozenset[str]
    n_tiles: int
    n_items: int
    bytes_index: int
    seconds: float
    patches_per_s: float | None
    rows_per_s: float | None

    @property
    def failing(self) -> tuple[SlideLook, ...]:
        """Slides that will fail."""
        return tuple(look for look in self.looks if look.will_fail)


def forecast(
    sources: Iterable[SlideSource],
    space: Space,
    *,
    tile_stride_um: float,
    there: Collection[str] = (),
    thumbnails: bool = True,
    progress: Progress | None = None,
) -> Forecast:
    """Look at slides and time the encoders; nothing is written.

    Parameters
    ----------
    sources : iterable of SlideSource
        The slides.
    space : Space
        Its encoders are timed on patches and counts of the slides themselves.
    tile_stride_um : float
        Distance of tissue tiles, micrometres.
    there : collection of str
        Slides that the index has.
    thumbnails : bool
        Whether a JPEG of every patch would be kept.
    progress : Progress, optional
        Is told of every slide, as the stage `look`.
    """
    watch, listed = progress or Silent(), list(sources)
    patch = space.image.patch
    plan = ReadPlan(patch.side_um, patch.side_px, tile_stride_um, thumbnails, _BATCH)
    looks: list[SlideLook] = []
    patches_per_s: float | None = None
    rows_per_s: float | None = None
    warming_s = 0.0
    seen: set[str] = set()
    for done, source in enumerate(listed):
        name = name_of(source)
        watch.update("look", done, len(listed), name)
        probe = _twice(name) if name in seen else look_at(source, plan)
        seen.add(name)
        looks.append(probe.look)
        if patches_per_s is None and probe.pixels is not None:
            patches_per_s, warming_s = _time_patches(space, probe.pixels)
        if rows_per_s is None and probe.expression is not None:
            rows_per_s = _time_rows(space, probe.expression)
    watch.update("look", len(listed), len(listed), "")
    new = [look for look in looks if not look.will_fail and look.slide not in set(there)]
    return Forecast(
        looks=tuple(looks),
        there=frozenset(there) & seen,
        n_tiles=sum(look.n_tiles for look in new),
        n_items=sum(1 + look.n_tiles + look.n_rows for look in new),
        bytes_index=round(sum(_bytes(look, space.card.dim) for look in new)),
        seconds=_seconds(new, patches_per_s, rows_per_s) + (warming_s if new else 0.0),
        patches_per_s=patches_per_s,
        rows_per_s=rows_per_s,
    )


def _twice(name: str) -> Probe:
    reason = f"Slide {name} is given twice; expected one source for each. Rename one of them."
    return Probe(SlideLook(name, error=JoinError.__name__, reason=reason, next_step=next_step("JoinError")))


def _bytes(look: SlideLook, dim: int) -> float:
    vector = dim * (_VECTOR_BYTES + _CODE_BYTES)
    pictured = look.n_tiles if not look.n_patches else look.n_patches
    rows = look.n_rows * (vector + _ITEM_BYTES) + look.n_counts * _COUNT_BYTES
    return rows + pictured * (vector + look.jpeg_bytes) + look.n_tiles * _ITEM_BYTES + _SLIDE_BYTES


def _seconds(looks: list[SlideLook], patches_per_s: float | None, rows_per_s: float | None) -> float:
    """Reading is shared by the cores while the encoder, which uses them all, works on what was read."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    reading = sum(look.read_s + look.n_patches * look.patch_s for look in looks) / cores
    encoding = sum(look.n_patches for look in looks) / patches_per_s if patches_per_s else 0.0
    encoding += sum(look.n_rows for look in looks) / rows_per_s if rows_per_s else 0.0
    return (reading + encoding) / _EFFICIENCY + _PER_SLIDE_S * len(looks)


def _time_patches(space: Space, pixels: Patches) -> tuple[float, float]:
    """Patches a second of the image encoder, and the seconds until it is warm."""
    some, begun = pixels[: min(len(pixels), _BATCH)], time.perf_counter()
    stain = space.image.stain_of(some)
    space.image.features(some, stain=stain)  # loads and compiles
    n, taken, start = 0, 0.0, time.perf_counter()
    while n < _TIMED_PATCHES and taken < _TIMED_S:
        space.image.features(some, stain=stain)
        n, taken = n + len(some), time.perf_counter() - start
    return n / max(taken, 1e-6), start - begun


def _time_rows(space: Space, expression: Expression) -> float:
    """Rows a second of the expression encoder, warm."""
    some = sp.csr_matrix(expression.counts[:_TIMED_ROWS])
    space.expression.encode_counts(some[:1], expression.genes)
    start = time.perf_counter()
    space.expression.encode_counts(some, expression.genes)
    return float(some.shape[0] / max(time.perf_counter() - start, 1e-6))
