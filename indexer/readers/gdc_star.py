"""Format `gdc-star`: STAR counts of the GDC, one file a sample, with the sample sheet that says whose it is."""

import csv
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from indexer.errors import CountsError, DataError, ManifestError
from indexer.format import Circumstances, Format, files_at
from indexer.readers.anndata_file import checked_counts
from indexer.readers.measured import GeneColumns, Measured, MeasuredSlide
from indexer.slides import SlideSource

_SUFFIX = ".rna_seq.augmented_star_gene_counts.tsv"
_SHEET = "gdc_sample_sheet*.tsv"
_SHEET_COLUMNS = ("File Name", "Project ID", "Case ID", "Sample ID")
_COLUMNS = ("gene_id", "gene_name", "unstranded")


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    paths = files_at(place, (_SUFFIX,), what="STAR counts of the GDC")
    folder = place if place.is_dir() else place.parent
    sheet = _read_sheet(folder)
    unknown = [path.name for path in paths if path.name not in sheet]
    if unknown:
        raise DataError(
            f"{len(unknown)} of {len(paths)} files of {place}, such as {unknown[0]}, are not in a sample sheet "
            f"({_SHEET}) there; download it from the GDC's cart, since the files do not say their patient."
        )
    found: dict[str, SlideSource] = {}
    for path in paths:
        row = sheet[path.name]
        name = row["Sample ID"].split(",")[0].strip()
        if name in found:  # the GDC has some samples twice
            name = f"{name}_{path.name[:8]}"
        facts = around.facts(name, patient=row["Case ID"].split(",")[0].strip(), technology="bulk RNA-seq")
        if name not in around.said:
            facts = replace(facts, cohort=row["Project ID"].strip() or facts.cohort)
        found[name] = MeasuredSlide(
            facts, "transcriptome", (path,), partial(_read, name, path), partial(_columns, path), around.tables
        )
    return list(found.values())


def _read(name: str, path: Path) -> Measured:
    rows = _rows(path)
    try:
        values = np.array([[float(row["unstranded"]) for row in rows]], dtype=np.float32)
    except ValueError as error:
        raise CountsError(f"{path}: {error}; expected counts in the column 'unstranded'.") from error
    return Measured((name,), checked_counts(sp.csr_matrix(values), path.name), _genes(rows))


def _columns(path: Path) -> GeneColumns:
    return _genes(_rows(path))


def _genes(rows: list[dict[str, str]]) -> GeneColumns:
    """Symbols and ids; the first rows are sums of STAR, which have no symbol and are dropped by their id."""
    return GeneColumns([row["gene_name"] or row["gene_id"] for row in rows], [_id(row["gene_id"]) for row in rows])


def _id(text: str) -> str:
    return text if text.startswith("ENS") else ""


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CountsError(f"Cannot read {path}: {error}; expected STAR counts of the GDC.") from error
    reader = csv.DictReader([line for line in lines if not line.startswith("#")], delimiter="\t")
    missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise CountsError(f"{path} has no column {', '.join(missing)}; expected STAR counts of the GDC.")
    rows = list(reader)
    short = next((row for row in rows if None in row.values()), None)
    if short is not None or not rows:
        raise CountsError(f"{path} ends in the middle of a line or has none; get it again.")
    return rows


def _read_sheet(folder: Path) -> dict[str, dict[str, str]]:
    """Row of each file by its name, from all sample sheets of a folder. Raises `ManifestError`."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(folder.glob(_SHEET)):
        try:
            with path.open(newline="", encoding="utf-8-sig") as stream:
                rows = list(csv.DictReader(stream, delimiter="\t"))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ManifestError(f"Cannot read the sample sheet {path}: {error}.") from error
        for row in rows:
            if any(row.get(column) is None for column in _SHEET_COLUMNS):
                raise ManifestError(
                    f"{path} lacks one of {', '.join(_SHEET_COLUMNS)}; expected a sample sheet of the GDC."
                )
            found[row["File Name"]] = row
    return found


FORMAT = Format("gdc-star", "STAR counts of the GDC with their sample sheet, bulk samples", _find)
