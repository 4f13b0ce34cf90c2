"""Slides whose tiles come from a file instead of being cut: which files belong to which slide."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from indexer.errors import ManifestError, SlideError
from indexer.features.tile_files import TileFile, clashing_mpp, tile_files
from indexer.format import Circumstances
from indexer.readers.features import HestPatches, TileFeatures
from indexer.readers.hest_metadata import hest_facts, hest_metadata
from indexer.readers.table_slide import TableSlide
from indexer.slides import SlideFacts, SlideSource
from indexer.wrapped import WrappedSlide

_LOG = logging.getLogger(__name__)
#: TRIDENT rounds um/px to a magnification; scanners of one magnification differ by up to this much.
_TRIDENT_TOLERANCE = 0.25
_PICTURES = (".tif", ".tiff", ".svs", ".ndpi", ".mrxs", ".png", ".jpg")


@dataclass(frozen=True)
class TiledSlide(WrappedSlide):
    """A slide with the tiles of a file; facts, picture and counts are those of another source.

    Attributes
    ----------
    base : SlideSource
        The slide itself, which may lack picture and counts.
    tiles : TileFile
        Its tiles.
    """

    tiles: TileFile

    @cached_property
    def facts(self) -> SlideFacts:
        """Metadata of the slide; its mpp is that of the tile file where no other is known."""
        facts = self.base.facts
        if facts.mpp is not None or not self.tiles.path.exists():
            return facts
        mpp = self.tiles.mpp()
        return replace(facts, mpp=mpp, mpp_source=None if mpp is None else "file")

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of the slide and of its tiles."""
        return (*self.base.files, *self.tiles.paths)

    def read_tiles(self) -> TileFeatures | HestPatches:
        """Tiles of the slide.

        Raises
        ------
        SlideError
            If the slide has another mpp than the tiles were made at.
        FeaturesError, CheckpointError, SpaceMismatchError
            See `TileFile.read`.
        """
        facts = self.facts
        clash = clashing_mpp(self.tiles, facts, tolerance=_TRIDENT_TOLERANCE)
        if clash is not None:
            raise SlideError(clash)
        return self.tiles.read(facts.mpp)


def tiled_slides(
    files: Sequence[TileFile],
    *,
    table: Mapping[str, TableSlide] | None = None,
    of_manifest: Callable[[str], SlideSource | None] | None = None,
    around: Circumstances | None = None,
) -> list[TiledSlide]:
    """Slides with the tiles of some files, described by a table, else by the manifest, else by HEST's own metadata.

    Parameters
    ----------
    files : sequence of TileFile
        From `tile_files`.
    table : mapping of str to TableSlide, optional
        From `read_slide_table`; a HEST slide without picture or counts there takes those of HEST's folders.
    of_manifest : callable, optional
        Gives the source of a slide by its name, `None` where there is no such slide.
    around : Circumstances, optional
        Tables of gene names, and the column of the spots' labels, for counts of HEST.

    Raises
    ------
    ManifestError
        If nothing describes a slide; names all such slides.
    """
    described = [(file, _base_of(file, table or {}, of_manifest, around or Circumstances())) for file in files]
    unknown = [file.slide for file, base in described if base is None]
    if unknown:
        named = f"{', '.join(unknown[:5])}{' ...' if len(unknown) > 5 else ''}"
        raise ManifestError(
            f"Nothing is known of {len(unknown)} of {len(files)} slides with tile files: {named}. Describe them in a "
            f"table with columns slide, patient_id, mpp ... (`--slides slides.csv`); names are those of the files."
        )
    spare = sorted(set(table or ()) - {file.slide for file in files})
    if spare:
        _LOG.warning("%d slides of the table have no tile file and are left out, first %s", len(spare), spare[0])
    return [TiledSlide(base, file) for file, base in described if base is not None]


def open_tiled_slides(
    place: Path,
    *,
    layout: Any = None,
    patches: Path | None = None,
    side_px: float | None = None,
    encoder: str | None = None,
    table: Mapping[str, TableSlide] | None = None,
    of_manifest: Callable[[str], SlideSource | None] | None = None,
    around: Circumstances | None = None,
) -> list[TiledSlide]:
    """`tiled_slides` of the `tile_files` at a place; see there for arguments and errors."""
    files = tile_files(place, layout=layout, patches=patches, side_px=side_px, encoder=encoder)
    return tiled_slides(files, table=table, of_manifest=of_manifest, around=around)


def _base_of(
    file: TileFile,
    table: Mapping[str, TableSlide],
    of_manifest: Callable[[str], SlideSource | None] | None,
    around: Circumstances,
) -> SlideSource | None:
    own = _hest_slide(file, around) if file.format == "hest" else None
    if file.slide in table:
        told = table[file.slide]
        if own is None:
            return told
        facts = told.given_facts
        if facts.mpp is None and own.given_facts.mpp is not None:
            facts = replace(facts, mpp=own.given_facts.mpp, mpp_source=own.given_facts.mpp_source)
        return TableSlide(facts, told.image_path or own.image_path, told.counts or own.counts, around)
    found = None if of_manifest is None else of_manifest(file.slide)
    if found is not None:
        return found
    return own if own is not None and own.given_facts.patient else None


def _hest_slide(file: TileFile, around: Circumstances) -> TableSlide:
    """The sample as HEST's folders beside `patches` have it; where HEST does not know it the patient is empty."""
    root, name = file.path.parent.parent, file.slide
    known = hest_metadata(root, name)
    if known and not known.get("patient"):
        _LOG.warning("%s: HEST names no patient; the slide counts as a patient of its own", name)
    counts, image = root / "st" / f"{name}.h5ad", [root / "wsis" / f"{name}{suffix}" for suffix in _PICTURES]
    facts = hest_facts(name, known)
    return TableSlide(
        facts if known else replace(facts, patient=""),
        next((path for path in image if path.is_file()), None),
        counts if counts.is_file() else None,
        around,
    )
