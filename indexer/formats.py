"""The formats of files that ingest reads, by name; one file a format in `indexer.readers`."""

from collections.abc import Mapping
from pathlib import Path

from indexer.errors import DataError
from indexer.format import Circumstances, Format
from indexer.readers import (
    gct,
    gdc,
    h5ad,
    hest,
    legacy_st,
    slide_folder,
    spatialdata,
    st_bank,
    stimage,
    tenx,
    visium,
    visium_hd,
    xena,
    xenium,
)
from indexer.readers.count_tables import CELLS_BY_GENES, GENES_BY_CELLS, GENES_BY_SAMPLES, SAMPLES_BY_GENES
from indexer.readers.measured import MeasuredSlide
from indexer.readers.table_slide import TableSlide
from indexer.slides import SlideSource

FORMATS: Mapping[str, Format] = {
    one.name: one
    for one in (
        slide_folder.FORMAT,
        visium.FORMAT,
        visium_hd.FORMAT,
        xenium.FORMAT,
        hest.FORMAT,
        stimage.FORMAT,
        legacy_st.FORMAT,
        st_bank.FORMAT,
        h5ad.FORMAT,
        spatialdata.FORMAT,
        tenx.FORMAT,
        CELLS_BY_GENES,
        GENES_BY_CELLS,
        SAMPLES_BY_GENES,
        GENES_BY_SAMPLES,
        gct.FORMAT,
        *gdc.STAR_FORMATS,
        gdc.FPKM,
        xena.FORMAT,
        xena.CPTAC,
    )
}


def find_slides(place: Path, format_name: str, around: Circumstances | None = None) -> list[SlideSource]:
    """Slides of a place in the format named; which format it is, is never tried out.

    Parameters
    ----------
    place : Path
        A file or folder, as the format wants it.
    format_name : str
        One of `FORMATS`.
    around : Circumstances, optional
        What the user says of the slides, and the tables of gene names.

    Raises
    ------
    DataError
        If there is no such format, which lists them all, or the place holds no slide of it.
    """
    told = around or Circumstances()
    chosen = choose_format(format_name)
    if told.label_column is not None and not chosen.labels:
        able = ", ".join(one.name for one in FORMATS.values() if one.labels)
        raise DataError(
            f"Files of {format_name} have no column {told.label_column!r} to label rows by; formats with such columns "
            f"are {able}."
        )
    found = chosen.find(place, told)
    names = {_name(source) for source in found} if told.said else set()
    if told.said and not names & set(told.said):
        raise DataError(
            f"The table of slides has none of the {len(names)} slides of {place}: they are {_some(names)}, the table "
            f"has {_some(told.said)}. Correct the column `slide`."
        )
    return found


def choose_format(name: str) -> Format:
    """Format of a name. Raises `DataError`, which lists them all."""
    if name not in FORMATS:
        listed = "; ".join(f"{one.name} ({one.reads})" for one in FORMATS.values())
        raise DataError(f"There is no format {name!r}; expected one of: {listed}.")
    return FORMATS[name]


def _name(source: SlideSource) -> str:
    """Name of a slide, for which its files need not be read."""
    return source.given_facts.slide if isinstance(source, MeasuredSlide | TableSlide) else source.facts.slide


def _some(names: Mapping[str, object] | set[str]) -> str:
    listed = sorted(names)
    return ", ".join(map(repr, listed[:3])) + (" ..." if len(listed) > 3 else "")
