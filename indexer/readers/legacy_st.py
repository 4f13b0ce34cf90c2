"""Format `st`: legacy Spatial Transcriptomics of a user's own, counts and spots as tsv, and a picture.

A section S has `S.tsv` (or `S_stdata.tsv`, `S_counts.tsv`, maybe gzipped), spots by genes with rows named `<x>x<y>`
after the array; `S_selection.tsv` (or `spot_data-selection-S.tsv`), the spot detector's table with the pixels of each
spot; and `S.jpg`, `S.png` or `S.tif`, in whichever folders below the place. Spots lie 200 um apart and are 100 um wide.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from indexer.errors import CountsError, DataError, JoinError, SlideError
from indexer.format import Circumstances, Format, files_at
from indexer.readers.counts_table import read_counts_table, read_gene_header
from indexer.readers.flat_image import image_size
from indexer.readers.measured import GeneColumns, Measured, MeasuredSlide
from indexer.readers.pictures import FLAT, open_picture
from indexer.readers.spot_positions import check_positions, join_counts, pitch_of, read_positions
from indexer.slides import MppSource, SlideSource

SPOT_UM, PITCH_UM = 100.0, 200.0

_SELECTION, _DETECTOR = "_selection.tsv", "spot_data-selection-"
_COUNTS = tuple(f"{kind}.tsv{packed}" for kind in ("_stdata", "_counts", "") for packed in ("", ".gz"))
_PICTURES = (*FLAT, ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class _Section:
    """Files of a section, `None` where one is not there."""

    name: str
    counts: Path | None
    spots: Path | None
    picture: Path | None


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    what = "sections of legacy ST: S.tsv, S_selection.tsv and S.jpg in one folder or several"
    if place.is_file():
        raise DataError(f"{place} is a file; expected a folder with {what}.")
    tables = files_at(place, (".tsv", ".tsv.gz"), what=what)
    spots = _by_name((_spots_name(path), path) for path in tables)
    counts = _by_name((_counts_name(path), path) for path in tables if not _spots_name(path))
    if not spots:
        raise DataError(f"{place} holds no S{_SELECTION} nor {_DETECTOR}S.tsv; expected {what}.")
    pictures = _by_name((path.stem, path) for path in sorted(place.rglob("*")) if path.suffix.lower() in _PICTURES)
    names = sorted(spots.keys() | {name for name in counts if name in pictures})
    return [
        _slide(_Section(name, counts.get(name), spots.get(name), around.image(name) or pictures.get(name)), around)
        for name in names
    ]


def _slide(section: _Section, around: Circumstances) -> MeasuredSlide:
    facts = around.facts(section.name, technology="Spatial Transcriptomics")
    picture = section.picture
    files = (section.counts, section.spots, picture)
    return MeasuredSlide(
        facts,
        "spot",
        tuple(path for path in files if path is not None),
        partial(_read, section, facts.mpp),
        partial(_columns, section),
        around.tables,
        picture,
        None if picture is None else partial(open_picture, picture),
        partial(_find_mpp, section),
    )


def _read(section: _Section, given_mpp: float | None) -> Measured:
    where = f"Slide {section.name}"
    names, genes, counts = read_counts_table(_needed_counts(section))
    positions = read_positions(_needed_spots(section))
    rows = join_counts(names, positions, where)
    check_positions(
        positions,
        where,
        size_px=_size(section.picture),
        pitch_px=None if given_mpp is None else PITCH_UM / given_mpp,
    )
    said = () if section.picture is not None else ("there is no picture of its name",)
    return Measured(names, counts, GeneColumns(genes), positions.xy_px[rows], SPOT_UM, remarks=said)


def _columns(section: _Section) -> GeneColumns:
    return GeneColumns(read_gene_header(_needed_counts(section)))


def _find_mpp(section: _Section) -> tuple[float, MppSource] | None:
    pitch = pitch_of(read_positions(_needed_spots(section)))
    return None if not pitch else (PITCH_UM / pitch, "pitch")


def _size(picture: Path | None) -> tuple[int, int] | None:
    """Pixels of a flat picture; those of a TIFF are checked when it is cut."""
    if picture is None or picture.suffix.lower() not in FLAT:
        return None
    try:
        return image_size(picture)
    except SlideError:
        return None  # told when the picture itself is opened


def _needed_counts(section: _Section) -> Path:
    if section.counts is None:
        raise CountsError(f"Slide {section.name} has no counts; expected {section.name}.tsv, spots by genes.")
    return section.counts


def _needed_spots(section: _Section) -> Path:
    if section.spots is None:
        raise JoinError(
            f"Slide {section.name} has counts and a picture but no positions; expected {section.name}{_SELECTION} with "
            "columns x, y, pixel_x, pixel_y."
        )
    return section.spots


def _spots_name(path: Path) -> str:
    if path.name.startswith(_DETECTOR):
        return path.name.removeprefix(_DETECTOR).removesuffix(".tsv")
    return path.name.removesuffix(_SELECTION) if path.name.endswith(_SELECTION) else ""


def _counts_name(path: Path) -> str:
    return next(path.name.removesuffix(ending) for ending in _COUNTS if path.name.endswith(ending))


def _by_name(named: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """File of each name. Raises `DataError` if two have one."""
    found: dict[str, Path] = {}
    for name, path in named:
        if name in found:
            raise DataError(f"{found[name]} and {path} are both of section {name!r}; rename one of them.")
        if name:
            found[name] = path
    return found


FORMAT = Format("st", "legacy Spatial Transcriptomics: counts and spots as tsv, a picture (spots)", _find)
