"""Formats `gdc-star...` and `gdc-fpkm`: files of the GDC, one a sample, with the sheet that says whose each is."""

import csv
import gzip
import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from indexer.errors import CountsError, DataError, ManifestError
from indexer.format import Circumstances, Format, files_at
from indexer.readers.measured import GeneColumns
from indexer.readers.samples import BulkSample, GeneNamer, SampleCounts, SampleTable, patient_of
from indexer.slides import SlideSource

_STAR = (".rna_seq.augmented_star_gene_counts.tsv",)
_FPKM = (".fpkm-uq.txt.gz", ".fpkm-uq.txt", ".fpkm.txt.gz", ".fpkm.txt")
_SHEET = "gdc_sample_sheet*.tsv"
_SHEET_COLUMNS = ("File Name", "Project ID", "Case ID", "Sample ID")
_BARCODE = re.compile(r"TCGA-[0-9A-Z]{2}-[0-9A-Z]{4}-\d{2}[A-Z]?")
_MAX_BYTES = 64 * 2**20  # of an unpacked file; those of the GDC have 4 MB
#: Columns of STAR files, by the end of the format's name.
STAR_COLUMNS = {
    "": "unstranded",
    "-tpm": "tpm_unstranded",
    "-fpkm": "fpkm_unstranded",
    "-fpkm-uq": "fpkm_uq_unstranded",
}


def _find(
    place: Path, around: Circumstances, *, suffixes: tuple[str, ...], read: Callable[[str, Path], SampleCounts]
) -> list[SlideSource]:
    paths = files_at(place, suffixes, what="expression files of the GDC")
    folder = place if place.is_dir() else place.parent
    sheet = _read_sheet(folder)
    unknown = [path.name for path in paths if path.name not in sheet and not _BARCODE.search(path.name)]
    if unknown:
        raise DataError(
            f"{len(unknown)} of {len(paths)} files of {place}, such as {unknown[0]}, are not in a sample sheet "
            f"({_SHEET}) there; download it from the GDC's cart, since the files do not say their patient."
        )
    found: dict[str, SlideSource] = {}
    namer = GeneNamer(around.tables)
    for path in paths:
        row = sheet.get(path.name) or _row_of(path.name)
        name = row["Sample ID"].split(",")[0].strip()
        if name in found:  # the GDC has some samples twice
            name = f"{name}_{path.name[:8]}"
        facts = around.facts(name, patient=row["Case ID"].split(",")[0].strip(), technology="bulk RNA-seq")
        if name not in around.said:
            facts = replace(facts, cohort=row["Project ID"].strip() or facts.cohort)
        if facts.species == "unknown":  # the GDC has nothing but people
            facts = replace(facts, species="human")
        found[name] = BulkSample(facts, SampleTable(path, partial(read, name, path), namer))
    return list(found.values())


def _row_of(name: str) -> dict[str, str]:
    """What a barcode in the name of a file says, as a row of the sheet."""
    found = _BARCODE.search(name)
    barcode = "" if found is None else found.group()
    return {"Sample ID": barcode, "Case ID": patient_of(barcode), "Project ID": ""}


def _read_star(name: str, path: Path, *, column: str) -> SampleCounts:
    """One column of a STAR file; the first rows are sums of STAR, which have no symbol and are dropped by their id."""
    lines = [line.split("\t") for line in _text(path).splitlines() if line and not line.startswith("#")]
    header = lines[0] if lines else []
    missing = [one for one in ("gene_id", "gene_name", column) if one not in header]
    if missing:
        raise CountsError(f"{path} has no column {', '.join(missing)}; expected STAR counts of the GDC.")
    rows = [line for line in lines[1:] if column == "unstranded" or not line[0].startswith("N_")]
    if not rows or any(len(row) != len(header) for row in rows):
        raise CountsError(f"{path} ends in the middle of a line or has none; get it again.")
    at_id, at_name, at_value = (header.index(one) for one in ("gene_id", "gene_name", column))
    ids = [row[at_id] for row in rows]
    genes = GeneColumns([row[at_name] or row[at_id] for row in rows], [i if i.startswith("ENS") else "" for i in ids])
    return _sample(name, path, [row[at_value] for row in rows], genes, column)


def _read_fpkm(name: str, path: Path) -> SampleCounts:
    """Two columns without header, as the GDC gave them before 2022."""
    rows = [line.split("\t") for line in _text(path).splitlines() if line]
    if not rows or any(len(row) != 2 for row in rows):
        raise CountsError(f"{path} has lines without two cells; expected an Ensembl id and a value in each.")
    what = "FPKM-UQ" if "fpkm-uq" in path.name.lower() else "FPKM"
    return _sample(name, path, [row[1] for row in rows], GeneColumns([row[0] for row in rows]), what)


def _sample(name: str, path: Path, cells: list[str], genes: GeneColumns, what: str) -> SampleCounts:
    try:
        values = np.array(cells, dtype=np.float64)
    except ValueError as error:
        raise CountsError(f"{path}: {error}; expected numbers in {what!r}.") from error
    wrong = np.flatnonzero(~np.isfinite(values) | (values < 0))
    if len(wrong):
        raise CountsError(
            f"{path}, gene {genes.symbols[wrong[0]]!r}: got {cells[wrong[0]]}; expected an amount of at least 0."
        )
    return SampleCounts((name,), sp.csr_matrix(values[None].astype(np.float32)), genes)


def _text(path: Path) -> str:
    """Content of a file, unpacked where it is packed. Raises `CountsError`."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise CountsError(f"{path} unpacks to more than {_MAX_BYTES:,} bytes; it is no sample of the GDC.")
        return content.decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise CountsError(f"Cannot read {path}: {error}; expected a file of the GDC.") from error


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


STAR_FORMATS = tuple(
    Format(
        f"gdc-star{end}",
        f"STAR files of the GDC with their sample sheet, column {column}, bulk samples",
        partial(_find, suffixes=_STAR, read=partial(_read_star, column=column)),
    )
    for end, column in STAR_COLUMNS.items()
)
FPKM = Format(
    "gdc-fpkm",
    "FPKM-UQ and FPKM files of the GDC with their sample sheet, bulk samples",
    partial(_find, suffixes=_FPKM, read=_read_fpkm),
)
