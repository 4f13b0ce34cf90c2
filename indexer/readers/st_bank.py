"""Format `st-bank`: pairs of ST-bank and of OmiCLIP's own training, a csv of pictures and gene sentences.

A row has a picture (`img_path`) and the genes of its spot from the highest down (`label`). Which slide a picture was
cut from is told by the folder of its path, where there are several, and where on it is told nowhere, so rows are spots
without a position.
Counts are not there either: a gene's rank stands in for them, the last gene of a sentence counting 1, which keeps the
sentence and no more. The pictures, some 16 pixels wide, show no tissue around the spot and are not read.
"""

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import scipy.sparse as sp

from indexer.errors import CountsError
from indexer.format import Circumstances, Format, files_at
from indexer.readers.measured import GeneColumns, Measured, MeasuredSlide
from indexer.slides import SlideSource

PICTURE, SENTENCE = "img_path", "label"

_EXCEL_ROWS = 1_048_575  # below the header; more are lost where a spreadsheet wrote the file
_REMARKS = (
    "counts are ranks of its gene sentences, not measured",
    "its spots have neither position nor picture here",
)


@dataclass
class _Slide:
    """Rows of one slide: names of their pictures, and their sentences."""

    names: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    found: list[SlideSource] = []
    for path in files_at(place, (".csv",), what=f"csv files of ST-bank with columns {PICTURE} and {SENTENCE}"):
        slides: dict[str, _Slide] = {}
        for folder, name, sentence in _rows(path):
            into = slides.setdefault(folder, _Slide())
            into.names.append(name)
            into.sentences.append(sentence)
        if not slides:
            raise CountsError(f"{path} has no row below its header; expected {PICTURE} and {SENTENCE} in each.")
        n_rows = sum(len(slide.names) for slide in slides.values())
        cut = (f"{path.name} has {n_rows:,} rows, as many as a spreadsheet keeps: others may be lost",)
        said = (*_REMARKS, *(cut if n_rows == _EXCEL_ROWS else ()))
        if len(slides) == 1:  # one folder for all says nothing
            slides = {path.stem: next(iter(slides.values()))}
        found += [_slide(name, path, rows, said, around) for name, rows in slides.items()]
    return found


def _slide(name: str, path: Path, rows: _Slide, said: tuple[str, ...], around: Circumstances) -> MeasuredSlide:
    return MeasuredSlide(
        around.facts(name, technology="ST-bank"),
        "spot",
        (path,),
        partial(_read, rows, said),
        partial(_columns, rows),
        around.tables,
    )


def _read(rows: _Slide, said: tuple[str, ...]) -> Measured:
    genes = _columns(rows).symbols
    place = {gene: column for column, gene in enumerate(genes)}
    sentences = [list(dict.fromkeys(sentence.split())) for sentence in rows.sentences]
    values = [len(words) - rank for words in sentences for rank in range(len(words))]
    columns = [place[gene] for words in sentences for gene in words]
    starts = np.cumsum([0, *(len(words) for words in sentences)])
    counts = sp.csr_matrix((np.array(values, dtype=np.float32), columns, starts), shape=(len(sentences), len(genes)))
    return Measured(rows.names, counts, GeneColumns(genes), remarks=said)


def _columns(rows: _Slide) -> GeneColumns:
    genes = tuple(dict.fromkeys(gene for sentence in rows.sentences for gene in sentence.split()))
    if not genes:
        raise CountsError(
            f"None of {len(rows.names)} rows of {SENTENCE} names a gene; expected symbols, highest first."
        )
    return GeneColumns(genes)


def _rows(path: Path) -> Iterator[tuple[str, str, str]]:
    """Folder and name of the picture, and the sentence, of each row. Raises `CountsError`."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in (PICTURE, SENTENCE) if name not in (reader.fieldnames or ())]
            if missing:
                known = ", ".join(map(str, reader.fieldnames or ())) or "none"
                raise CountsError(
                    f"{path} has no column {', '.join(missing)} (it has: {known}); expected {PICTURE}, the file of a "
                    f"picture, and {SENTENCE}, the genes of its spot. Rename its columns."
                )
            for row in reader:
                written = row[PICTURE] or ""
                picture = PureWindowsPath(written) if "\\" in written else PurePosixPath(written)
                yield sys.intern(picture.parent.name), picture.stem, row[SENTENCE] or ""
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CountsError(f"Cannot read {path}: {error}; expected a csv file.") from error


FORMAT = Format("st-bank", "csv of ST-bank: pictures and gene sentences (spots without positions)", _find)
