"""Slides of one's own: facts from a table, with a picture and counts where the table names them."""

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from indexer.errors import CountsError, ManifestError
from indexer.format import Circumstances
from indexer.genes.report import GeneReport
from indexer.readers.h5ad import open_h5ad_slide
from indexer.readers.measured import MeasuredSlide
from indexer.readers.pictures import open_picture, picture_files, picture_mpp
from indexer.slides import Expression, SlideFacts, SlideImage

_LOG = logging.getLogger(__name__)
#: What a table may say of a slide, and what is taken where it says nothing; `None` must be said.
COLUMNS: Mapping[str, str | None] = {
    "slide": None,
    "patient_id": None,
    "mpp": "",
    "organ": "unknown",
    "diagnosis": "unknown",
    "cohort": "",
    "technology": "unknown",
    "species": "unknown",
    "licence": "unknown",
    "citation": "unknown",
    "image": "",
    "counts": "",
}


@dataclass(frozen=True)
class TableSlide:
    """A slide as a table or a metadata file describes it.

    Attributes
    ----------
    given_facts : SlideFacts
        As described; an mpp given there goes before the picture's.
    image_path : Path or None
        Picture: PNG, JPEG, TIFF, or what OpenSlide reads.
    counts : Path or None
        Spots with counts, h5ad.
    around : Circumstances
        Tables of gene names, and the column of the spots' labels.
    """

    given_facts: SlideFacts
    image_path: Path | None = None
    counts: Path | None = None
    around: Circumstances = field(default_factory=Circumstances, compare=False, repr=False)

    kind: Literal["spot"] = "spot"

    @cached_property
    def facts(self) -> SlideFacts:
        """Metadata: an mpp that was not given is the picture's, else that of the spots' array."""
        return self._pictured if self._spots is None else self._spots.facts

    @cached_property
    def _pictured(self) -> SlideFacts:
        """Metadata with the mpp of the picture, where none was given and the picture says it."""
        facts, path = self.given_facts, self.image_path
        if facts.mpp is not None or path is None:
            return facts
        mpp = picture_mpp(path)
        return replace(facts, mpp=mpp, mpp_source=None if mpp is None else "file")

    @cached_property
    def _spots(self) -> MeasuredSlide | None:
        if self.counts is None or self.counts.suffix != ".h5ad":
            return None
        return open_h5ad_slide(self._pictured, self.counts, self.around, None)

    @property
    def files(self) -> tuple[Path, ...]:
        """Picture and counts."""
        pictures = () if self.image_path is None else picture_files(self.image_path)
        return (*pictures, *(() if self.counts is None else (self.counts,)))

    @property
    def read_with(self) -> str:
        """Digest of the tables of gene names, if there are counts."""
        return "" if self._spots is None else self._spots.read_with

    def remarks(self) -> tuple[str, ...]:
        """What the user should know, once the counts were read."""
        return () if self._spots is None else self._spots.remarks()

    def gene_report(self) -> GeneReport | None:
        """What became of the genes, once the counts were read."""
        return None if self._spots is None else self._spots.gene_report()

    def open_image(self) -> SlideImage | None:
        """Picture of the slide, or `None`. Raises `SlideError`."""
        return None if self.image_path is None else open_picture(self.image_path)

    def read_genes(self) -> Sequence[str]:
        """Unique current symbols of the genes, without reading the counts. Raises `CountsError`."""
        return () if self.counts is None else self._needed_spots(self.counts).read_genes()

    def read_expression(self) -> Expression | None:
        """Counts of the spots over current symbols, or `None`. Raises `CountsError` or `JoinError`."""
        return None if self.counts is None else self._needed_spots(self.counts).read_expression()

    def _needed_spots(self, counts: Path) -> MeasuredSlide:
        if self._spots is None:
            raise CountsError(f"Counts {counts.name} of a table of slides are read from h5ad only; convert them.")
        return self._spots


def read_slide_table(path: Path, around: Circumstances | None = None) -> dict[str, TableSlide]:
    """Slides that a csv describes, by name.

    Parameters
    ----------
    path : Path
        One line a slide; columns of `COLUMNS`, `slide` and `patient_id` at least. `mpp` is micrometres per level-0
        pixel; `image` and `counts` are files, relative to the table. Other columns are not read, and are told.
    around : Circumstances, optional
        Tables of gene names, and the column of the spots' labels.

    Raises
    ------
    ManifestError
        If the table cannot be read, lacks a column or value, or has a slide twice.
    """
    slides: dict[str, TableSlide] = {}
    for line, row in _rows(path):
        slide = _slide(row, path, line, around or Circumstances())
        name = slide.given_facts.slide
        if name in slides:
            raise ManifestError(f"{path.name}, line {line}: slide {name!r} is there twice; expected one line a slide.")
        slides[name] = slide
    if not slides:
        raise ManifestError(f"{path.name} has no line below its header; expected one a slide.")
    return slides


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            header = [str(name).strip() for name in reader.fieldnames or ()]
            reader.fieldnames = header
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"Cannot read the table of slides {path}: {error}; expected a csv file.") from error
    missing = [name for name, default in COLUMNS.items() if default is None and name not in header]
    if missing:
        raise ManifestError(
            f"{path.name} has no column {', '.join(map(repr, missing))} (it has: {', '.join(header) or 'none'}); "
            f"expected some of {', '.join(COLUMNS)}."
        )
    unread = [name for name in header if name not in COLUMNS]
    if unread:
        _LOG.warning("%s: columns not read: %s", path.name, ", ".join(unread))
    return rows


def _slide(row: Mapping[str, str | None], path: Path, line: int, around: Circumstances) -> TableSlide:
    values = {name: (row.get(name) or "").strip() or default for name, default in COLUMNS.items()}
    empty = [name for name, value in values.items() if value is None]
    if empty:
        raise ManifestError(f"{path.name}, line {line}: {', '.join(map(repr, empty))} is empty; expected a name.")
    text = {name: str(value) for name, value in values.items()}
    mpp = _mpp(text["mpp"], f"{path.name}, line {line}")
    facts = SlideFacts(
        slide=text["slide"],
        patient=text["patient_id"],
        cohort=text["cohort"] or path.stem,
        organ=text["organ"],
        diagnosis=text["diagnosis"],
        technology=text["technology"],
        species=text["species"],
        licence=text["licence"],
        citation=text["citation"],
        mpp=mpp,
        mpp_source=None if mpp is None else "user",
    )
    image, counts = (_beside(path, text[name]) for name in ("image", "counts"))
    return TableSlide(facts, image, counts, around)


def _mpp(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        mpp = float(text)
    except ValueError:
        mpp = float("nan")
    if not 0 < mpp < float("inf"):
        raise ManifestError(f"{where}: mpp is {text!r}; expected micrometres per level-0 pixel, such as 0.5.")
    return mpp


def _beside(table: Path, text: str) -> Path | None:
    return (table.parent / text) if text else None
