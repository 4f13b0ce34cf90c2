"""Format `hest`: HEST-1k as its hub has it, `st/<id>.h5ad`, `wsis/<id>.tif` and `metadata/`.

Positions are the centres of spots in pixels of the picture. The scale is the one that HEST measured on the spots
(`pixel_size_um_estimated`), since what pictures say of themselves is often the 96 dots an inch of a screen. Patches are
cut from the picture; those of `patches/` are read with `--features`.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from indexer.errors import DataError, JoinError
from indexer.format import Circumstances, Format
from indexer.readers.h5ad import open_h5ad_slide
from indexer.readers.hest_metadata import MPP, hest_facts, hest_metadata, hest_number
from indexer.readers.measured import GeneColumns, Measured, MeasuredSlide
from indexer.slides import SlideFacts, SlideSource

_COUNTS, _PICTURES, _PATCHES = "st", "wsis", "patches"
_MAX_DISAGREEMENT = 0.05  # of the two scales, from which it is told


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    if not place.is_dir():
        raise DataError(f"There is no folder {place}; expected HEST-1k, the folder above st, wsis and metadata.")
    counts = {path.stem for path in (place / _COUNTS).glob("*.h5ad")}
    pictures = {path.stem for path in (place / _PICTURES).glob("*.tif")}
    if not counts | pictures:
        raise DataError(f"{place} holds neither st/*.h5ad nor wsis/*.tif; expected HEST-1k, the folder above them.")
    return [_slide(name, place, around) for name in sorted(counts | pictures)]


def _slide(name: str, root: Path, around: Circumstances) -> MeasuredSlide:
    known = hest_metadata(root, name)
    facts = _facts(name, hest_facts(name, known), around)
    counts, own = root / _COUNTS / f"{name}.h5ad", root / _PICTURES / f"{name}.tif"
    picture = around.image(name) or (own if own.is_file() else None)
    if not counts.is_file():
        return MeasuredSlide(facts, "spot", (own,), partial(_missing, name, counts), _no_genes, around.tables)
    slide = open_h5ad_slide(facts, counts, around, picture, remarks=_remarks(name, root, known, picture))
    diameter = hest_number(known, "spot_diameter")
    if diameter is not None:
        slide.read_counts = partial(_with_diameter, slide.read_counts, diameter)
    return slide


def _facts(name: str, of_hest: SlideFacts, around: Circumstances) -> SlideFacts:
    """What the user says goes first, but for a scale that he leaves out."""
    if name not in around.said:
        return of_hest
    told = around.facts(name, technology=of_hest.technology)
    return told if told.mpp is not None else replace(told, mpp=of_hest.mpp, mpp_source=of_hest.mpp_source)


def _remarks(name: str, root: Path, known: dict[str, Any], picture: Path | None) -> tuple[str, ...]:
    said = [] if known else ["HEST's metadata of it is not here, so patient, organ and scale are unknown"]
    estimated, embedded = (hest_number(known, key) for key in MPP)
    if estimated and embedded and abs(embedded / estimated - 1) > _MAX_DISAGREEMENT:
        said.append(f"its picture says {embedded:.4g} um per pixel, its spots {estimated:.4g}, which is taken")
    if picture is None:
        patches = (root / _PATCHES / f"{name}.h5").is_file()
        route = f"; its patches can be read with --features {root / _PATCHES}" if patches else ""
        said.append(f"there is no {_PICTURES}/{name}.tif, so its spots have no picture{route}")
    return tuple(said)


def _with_diameter(read: Callable[[], Measured], diameter_um: float) -> Measured:
    return replace(read(), spot_um=diameter_um)


def _no_genes() -> GeneColumns:
    return GeneColumns(())


def _missing(name: str, counts: Path) -> Measured:
    raise JoinError(f"Slide {name} has a picture but no {counts}; get the sample's part of st/ as well.")


FORMAT = Format("hest", "HEST-1k: st, wsis, metadata (spots)", _find, labels=True)
