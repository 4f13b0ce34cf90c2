"""A folder of slides: what each is, and which will fail and why."""

from collections.abc import Iterable

from indexer.building.slide_reading import ReadPlan
from indexer.doctor.findings import Finding
from indexer.forecast.looks import SlideLook, look_at
from indexer.progress import Progress, Silent
from indexer.safety.names import identifying
from indexer.slides import SlideSource

_BATCH = 1


def look_at_slides(
    sources: Iterable[SlideSource], *, side_um: float, side_px: int, stride_um: float, progress: Progress | None = None
) -> list[Finding]:
    """Every slide: its size, its mpp and where that is from, its tiles; or why it will fail.

    Parameters
    ----------
    sources : iterable of SlideSource
        The slides.
    side_um, side_px : float, int
        Patch of the encoder.
    stride_um : float
        Distance of tissue tiles.
    progress : Progress, optional
        Is told of every slide, as the stage `look`.
    """
    plan = ReadPlan(side_um=side_um, side_px=side_px, stride_um=stride_um, thumbnails=False, batch=_BATCH)
    watch, listed = progress or Silent(), list(sources)
    found = []
    for done, source in enumerate(listed):
        watch.update("look", done, len(listed), "")
        found.append(_finding(look_at(source, plan).look))
    watch.update("look", len(listed), len(listed), "")
    names = identifying(finding.what for finding in found)
    if names:
        step = "Ingest with --hash-names SALTFILE: names are then kept as keyed hashes."
        found.append(Finding("slides", "names", "; ".join(names), "note", step))
    return found


def _finding(look: SlideLook) -> Finding:
    if look.will_fail:
        return Finding("slides", look.slide, f"will fail: {look.reason}", "note", look.next_step)
    return Finding("slides", look.slide, describe(look))


def describe(look: SlideLook) -> str:
    """A slide that can be read, in a few words."""
    parts = []
    if look.width_px is not None and look.mpp is not None:
        parts.append(f"{look.width_px:,} x {look.height_px:,} px, {look.mpp:.4g} um per px ({look.mpp_source})")
        parts.append(f"about {look.n_tiles:,} tiles")
    if look.n_rows:
        parts.append(f"{look.n_rows:,} rows of counts")
    return ", ".join(parts)
