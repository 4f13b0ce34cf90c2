"""The pipeline of `histoseek demo`: data, index, one question of each kind, gallery."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from app.demo.choice import Choice, choose
from app.demo.data import DemoData, demo_data
from app.demo.overview import overview_section
from app.demo.questions import questions
from app.exports.report_page import gallery_page
from app.exports.report_section import Section
from app.figures.style import save
from app.tables.index import card_lines, cohorts_held_table
from app.tables.view import Column, TableView
from encoders.errors import SpaceMismatchError
from encoders.registry import open_space
from encoders.space import Space
from indexer.building.build import build_index
from indexer.building.report import BuildReport
from indexer.errors import WriteError
from indexer.progress import Progress, StageClock, peak_rss_mb
from search.engine import Engine

SPACE = "mini"


class Watcher(Progress, Protocol):
    """Listener of a run; the command line draws bars with it."""

    def download(self, name: str, total_bytes: int) -> Callable[[str, int, int], None]:
        """Listener of one data set's downloads."""

    def working(self, stage: str) -> AbstractContextManager[None]:
        """Context of a stage of unknown length."""


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What a run of the demo did.

    Attributes
    ----------
    db, gallery : Path
        The index and the folder with the pictures and `index.html`.
    data : DemoData
        What it was built from.
    build : BuildReport
        What the build added.
    choice : Choice
        What was asked with.
    sections : sequence of Section
        Questions and answers.
    about : sequence of TableView
        What the index holds, and what each stage took.
    seconds : dict
        Seconds by stage.
    peak_rss_mb : float
        Largest resident memory of the process, MiB.
    """

    db: Path
    gallery: Path
    data: DemoData
    build: BuildReport
    choice: Choice
    sections: Sequence[Section]
    about: Sequence[TableView]
    seconds: dict[str, float]
    peak_rss_mb: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "db": str(self.db),
            "gallery": str(self.gallery),
            "generated": self.data.generated,
            "notices": list(self.data.notices),
            "build": self.build,
            "choice": self.choice,
            "answers": {section.key: {"asked": section.asked, **section.payload} for section in self.sections},
            "seconds": self.seconds,
            "peak_rss_mb": self.peak_rss_mb,
        }


def run_demo(out: Path, *, watcher: Watcher, device: str = "cpu") -> DemoReport:
    """Get the data, build the index, ask, draw. A second run reuses what is there; a killed one goes on.

    Parameters
    ----------
    out : Path
        Folder for the index and the gallery. Generated data has an index of its own, so that the two never mix.
    watcher : Watcher
        Is told of every advance.
    device : str
        Where encoders run.

    Raises
    ------
    HistoSeekError
        If the index cannot be built or a question cannot be answered.
    """
    clock = StageClock()
    with clock.stage("data"):
        data = demo_data(watcher.download)
    db, gallery = out / ("index-generated" if data.generated else "index"), out / "gallery"
    with clock.stage("index"):
        space = open_space(SPACE, device=device)
        build = _build(db, data, space, watcher)
    with clock.stage("open"):
        engine = Engine.open(db, space=space)
        choice = choose(engine)
    sections = []
    for name, ask in questions(engine, choice, data):
        with clock.stage(name), watcher.working(name):
            sections.append(ask())
    with clock.stage("pictures"):
        sections.insert(0, overview_section(engine, choice))
        _draw(sections, gallery, watcher)
    about = [cohorts_held_table(engine.index), times_table(clock.seconds)]
    _write_page(gallery, data, engine, sections, about)
    return DemoReport(db, gallery, data, build, choice, sections, about, clock.seconds, peak_rss_mb())


def times_table(seconds: dict[str, float]) -> TableView:
    """Time of each stage of this run, and the memory it took."""
    rows = [(stage, f"{value:.2f}") for stage, value in seconds.items()]
    return TableView(
        title="Time of this run",
        columns=(Column("stage"), Column("seconds", "right")),
        rows=[*rows, ("all", f"{sum(seconds.values()):.2f}")],
        caption=f"Peak memory {peak_rss_mb():,.0f} MiB. Stages that an earlier run has done take little.",
    )


def _build(db: Path, data: DemoData, space: Space, watcher: Watcher) -> BuildReport:
    try:
        return build_index(db, data.sources, space, gene_table=data.gene_table, progress=watcher)
    except (SpaceMismatchError, WriteError) as error:
        raise type(error)(f"{error} (The demo makes a new index with another --out.)") from error


def _draw(sections: Sequence[Section], gallery: Path, watcher: Watcher) -> None:
    figures = [figure for section in sections for figure in section.figures]
    for done, figure in enumerate(figures):
        watcher.update("pictures", done, len(figures), figure.name)
        save(figure.draw(), gallery / f"{figure.name}.png")
    watcher.update("pictures", len(figures), len(figures), "")


def _write_page(
    gallery: Path, data: DemoData, engine: Engine, sections: Sequence[Section], about: Sequence[TableView]
) -> None:
    page = gallery_page(
        title="HistoSeek demo" + (" - GENERATED DATA" if data.generated else ""),
        introduction=" ".join(card_lines(engine.index.card)),
        notices=data.notices,
        sections=sections,
        folder=gallery,
        about=about,
    )
    part = gallery / "index.part"
    part.write_text(page, encoding="utf-8")
    part.replace(gallery / "index.html")
