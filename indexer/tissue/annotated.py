"""Slides with regions that somebody drew on them, one GeoJSON file a slide."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from indexer.errors import RegionError
from indexer.slides import SlideSource
from indexer.tissue.regions import Regions, read_regions
from indexer.wrapped import WrappedSlide

_SUFFIXES = (".geojson", ".json")


@runtime_checkable
class HasRegions(Protocol):
    """A source whose tiles are laid in regions that somebody drew."""

    def read_regions(self) -> Regions:
        """Regions of the slide. Raises `RegionError`."""


@dataclass(frozen=True)
class AnnotatedSlide(WrappedSlide):
    """A slide with drawn regions; all else is that of another source.

    Attributes
    ----------
    path : Path
        GeoJSON of its regions.
    drop : tuple of str
        Classes that are dropped besides those that always are.
    """

    path: Path
    drop: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of the slide, and that of its regions."""
        return (*self.base.files, self.path)

    @property
    def read_with(self) -> str:
        """What besides facts and files decides the rows."""
        return json.dumps([super().read_with, sorted(self.drop)])

    def read_regions(self) -> Regions:
        """Regions of the slide. Raises `RegionError`."""
        return read_regions(self.path, drop=self.drop)


def annotate(sources: Sequence[SlideSource], place: Path, *, drop: Collection[str] = ()) -> list[SlideSource]:
    """Slides with the regions of a place; a slide without a file there stays as it is.

    Parameters
    ----------
    sources : sequence of SlideSource
        The slides.
    place : Path
        A folder of `<slide>.geojson` or `<slide>.json`, or one such file.
    drop : collection of str
        See `read_regions`.

    Raises
    ------
    RegionError
        If there is no such place, or none of its files has the name of a slide.
    """
    files = _files_at(place)
    names = [source.facts.slide for source in sources]
    if len(names) == 1 and place.is_file():
        files = {names[0]: place}
    if not files.keys() & set(names):
        raise RegionError(
            f"{place} has regions of {_some(files)}, but the slides are {_some(names)}; name each file <slide>.geojson."
        )
    told = tuple(sorted(drop))
    return [
        AnnotatedSlide(source, files[name], told) if name in files else source
        for name, source in zip(names, sources, strict=True)
    ]


def _files_at(place: Path) -> dict[str, Path]:
    if not place.exists():
        raise RegionError(f"There is no file or folder {place}; expected GeoJSON of QuPath, one file a slide.")
    paths = [place] if place.is_file() else sorted(path for path in place.iterdir() if path.is_file())
    return {_stem(path): path for path in reversed(paths) if path.name.lower().endswith(_SUFFIXES)}


def _stem(path: Path) -> str:
    """Name of the slide: QuPath's scripts write `slide.svs.geojson` as well as `slide.geojson`."""
    from indexer.readers.pictures import PICTURES

    name = path.stem
    suffix = max((s for s in PICTURES if name.lower().endswith(s)), key=len, default="")
    return name[: len(name) - len(suffix)]


def _some(names: Collection[str]) -> str:
    listed = sorted(names)
    return (", ".join(map(repr, listed[:3])) or "nothing") + (" ..." if len(listed) > 3 else "")
