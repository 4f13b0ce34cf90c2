"""What a build did: of the run, and of each slide."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from indexer.genes.report import ReportsGenes
from indexer.safety.leaks import Leak
from indexer.slides import SlideSource

Outcome = Literal["added", "replaced", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class FailedSlide:
    """A slide that could not be ingested: its name, the error's class and its sentence."""

    slide: str
    error: str
    reason: str


@dataclass(frozen=True, slots=True)
class SlideRun:
    """What became of one slide.

    Attributes
    ----------
    slide : str
        Its name.
    outcome : `added`, `replaced`, `skipped` or `failed`
        `replaced` if its files or settings had changed, `skipped` if they had not.
    seconds : dict
        Seconds spent on it by stage: `read`, `tile`, `encode`. Stages of several slides overlap, so their sum over all
        slides is more than the run took.
    n_tiles, n_items : int
        Tissue tiles cut, and items it put into the index (itself, its tiles, its spots, cells or samples); 0 unless
        added or replaced.
    error, reason : str
        Class and sentence of what it failed with, else empty.
    left_out : dict
        Tiles of its grid that were not taken, by reason.
    genes : dict or None
        What became of its gene identifiers (`GeneReport.as_row`), where its reader says it.
    """

    slide: str
    outcome: Outcome
    seconds: dict[str, float]
    n_tiles: int = 0
    n_items: int = 0
    error: str = ""
    reason: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)
    genes: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    Attributes
    ----------
    added, replaced, skipped : tuple of str
        Slides that are new, whose files or settings had changed, and that were there already.
    failed : tuple of FailedSlide
        Slides that could not be ingested.
    n_items : int
        Items in the index now.
    seconds : dict
        Seconds by stage: `read`, `tile`, `encode`, `write`, `sidecar` and `leaks`, summed over slides, of which several
        may have been worked on at once.
    peak_rss_mb : float
        Largest resident memory so far, MiB, of the process and of those that read for it together.
    notes : tuple of str
        What the user should know of single slides, such as how many spots joined a tile.
    slides : tuple of SlideRun
        What became of each slide, in the order in which they were done.
    wall_s : float
        Seconds from the first slide's start to the index being ready.
    run_id : str
        The record of the run, `runs/<id>` in the index.
    leaks : tuple of Leak
        Near-duplicates that new slides take part in, and their patients who are in other cohorts too.
    warnings : tuple of str
        Names that look as if they said who somebody is.
    """

    added: tuple[str, ...]
    replaced: tuple[str, ...]
    skipped: tuple[str, ...]
    failed: tuple[FailedSlide, ...]
    n_items: int
    seconds: dict[str, float]
    peak_rss_mb: float
    notes: tuple[str, ...] = ()
    slides: tuple[SlideRun, ...] = ()
    wall_s: float = 0.0
    run_id: str = ""
    leaks: tuple[Leak, ...] = ()
    warnings: tuple[str, ...] = ()


def slides_with(runs: Iterable[SlideRun], outcome: Outcome) -> tuple[str, ...]:
    """Names of the slides with an outcome, in order."""
    return tuple(run.slide for run in runs if run.outcome == outcome)


def genes_row(source: SlideSource) -> Mapping[str, Any] | None:
    """What became of the gene identifiers of a slide that was read, where its reader says it."""
    report = source.gene_report() if isinstance(source, ReportsGenes) else None
    return None if report is None else report.as_row()
