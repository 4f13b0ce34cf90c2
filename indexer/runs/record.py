"""The record of one run of an ingest, `runs/<id>/run.json` in the folder of the index."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from encoders.space import SpaceCard

Outcome = Literal["added", "replaced", "skipped", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("added", "replaced", "skipped", "failed")
#: `running` while it runs; `stopped` by the user or an error that ended it; `killed` if it ended without a word.
State = Literal["running", "finished", "stopped", "killed"]

RUNS = "runs"
RECORD = "run.json"
SUMMARY = "summary.md"

_ID = re.compile(r"\d{8}-\d{6}-\d{6}")


class SlideRecord(BaseModel):
    """What became of one slide.

    Attributes
    ----------
    outcome : str
        `added`, `replaced` (its files or the settings had changed), `skipped` (it was there already) or `failed`.
    n_tiles, n_items : int
        Tiles cut, and items put into the index: the slide, its tiles, its spots, cells or samples.
    seconds : dict of str to float
        Spent on it by stage; slides overlap.
    left_out : dict of str to int
        Tiles of its grid that were not taken, by reason: no tissue, pen, blur.
    error, reason, next_step : str
        Of a failed slide: class of the error, its sentence, and what to do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    slide: str
    outcome: Outcome
    n_tiles: int = 0
    n_items: int = 0
    seconds: dict[str, float] = Field(default_factory=dict)
    left_out: dict[str, int] = Field(default_factory=dict)
    error: str = ""
    reason: str = ""
    next_step: str = ""


class GeneRecord(BaseModel):
    """What became of the gene identifiers of slides whose files name the same genes.

    Attributes
    ----------
    species : str
        Told from the identifiers.
    counts : dict of str to int
        Identifiers by fate: mapped, renamed, ambiguous, unknown, dropped.
    examples : dict of str to list of str
        Some of each but the mapped, `old -> new` where the name changed.
    n_summed : int
        Symbols that several columns had.
    slides : list of str
        The slides.
    """

    model_config = ConfigDict(extra="forbid")

    species: str
    counts: dict[str, int]
    examples: dict[str, list[str]]
    n_summed: int
    slides: list[str] = Field(default_factory=list)


class LicenceRecord(BaseModel):
    """A licence that slides of the run are under."""

    model_config = ConfigDict(extra="forbid")

    licence: str
    cohort: str
    citation: str
    n_slides: int = 0


class RunRecord(BaseModel):
    """One run of an ingest.

    Attributes
    ----------
    id : str
        UTC time of the start, to the microsecond.
    state : str
        See `State`.
    started_at, updated_at : str
        UTC; of a run that ended, `updated_at` is its end.
    pid, host : int, str
        The process.
    asked : dict
        What was asked: options of the command, or what a program said of itself.
    versions : dict
        HistoSeek, Python and the libraries that decide what is read and encoded.
    space : dict
        Name, revision, dimensions, licence.
    n_asked : int
        Slides given to the run.
    slides : list of SlideRecord
        Those that were come to, in their order.
    seconds : dict
        By stage.
    genes, licences : list
        What became of gene identifiers; licences of the slides.
    notes, leaks, warnings : list of str
        Remarks of readers; near-duplicates and patients in several cohorts; what the user should look at.
    n_items : int or None
        Items in the index at the end.
    peak_rss_mb : float or None
        Largest resident memory, MiB.
    error : str
        What ended the run, if something did.
    is_closed : bool
        Whether a later run wrote that this one was killed.
    """

    model_config = ConfigDict(extra="forbid")

    id: str
    state: State = "running"
    started_at: str
    updated_at: str
    pid: int
    host: str
    asked: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    space: dict[str, str] = Field(default_factory=dict)
    n_asked: int = 0
    slides: list[SlideRecord] = Field(default_factory=list)
    seconds: dict[str, float] = Field(default_factory=dict)
    genes: list[GeneRecord] = Field(default_factory=list)
    licences: list[LicenceRecord] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    leaks: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    n_items: int | None = None
    peak_rss_mb: float | None = None
    error: str = ""
    is_closed: bool = False

    def of(self, outcome: Outcome) -> list[SlideRecord]:
        """Slides of one outcome."""
        return [slide for slide in self.slides if slide.outcome == outcome]

    @property
    def counts(self) -> dict[Outcome, int]:
        """Slides by outcome."""
        return {outcome: len(self.of(outcome)) for outcome in OUTCOMES}

    @property
    def left_out(self) -> dict[str, int]:
        """Tiles not taken, by reason, over all slides."""
        totals: dict[str, int] = {}
        for slide in self.slides:
            for reason, count in slide.left_out.items():
                totals[reason] = totals.get(reason, 0) + count
        return totals


def new_id(now: datetime | None = None) -> str:
    """Id of a run that starts now."""
    return f"{(now or datetime.now(UTC)):%Y%m%d-%H%M%S-%f}"


def is_id(name: str) -> bool:
    """Whether a name is that of a run."""
    return _ID.fullmatch(name) is not None


def space_facts(card: SpaceCard) -> dict[str, str]:
    """What a record says of a space."""
    return {"name": card.name, "revision": card.revision, "dim": str(card.dim), "licence": card.licence}


def gene_record(row: Mapping[str, Any]) -> GeneRecord:
    """Counts and examples of a report on gene identifiers, as `GeneReport.as_row` gives them."""
    counts = {name: int(value) for name, value in row.items() if name not in {"species", "summed", "examples"}}
    examples = {str(fate).replace(" ", "_"): list(some) for fate, some in row["examples"].items()}
    return GeneRecord(species=row["species"], counts=counts, examples=examples, n_summed=row["summed"])


def add_genes(known: list[GeneRecord], found: GeneRecord, slides: Sequence[str]) -> None:
    """Put a report with those of slides that name the same genes."""
    for record in known:
        if (record.species, record.counts, record.examples) == (found.species, found.counts, found.examples):
            record.slides += slides
            return
    known.append(found.model_copy(update={"slides": list(slides)}))
