"""From what was typed to an engine and a query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from app.cli.options import IndexOptions, Using
from encoders.contracts import Modality
from search.composing.regions import region_from_geojson
from search.errors import QueryError
from search.query import (
    ROCCHIO,
    ComposedQuery,
    ExamplesQuery,
    GenesQuery,
    GroupQuery,
    ItemQuery,
    LengthUnit,
    PatchQuery,
    Query,
    SlideQuery,
)

if TYPE_CHECKING:
    from search.engine import Engine

Item = Annotated[str | None, typer.Option("--item", help="Id of an item of the index.")]
Slide = Annotated[str | None, typer.Option("--slide", help="Name of a slide of the index; with --region, its slide.")]
Genes = Annotated[str | None, typer.Option("--genes", help='Weighted genes: "ERBB2:2 KRT19 -VIM".')]
Patch = Annotated[Path | None, typer.Option("--patch", help="Image file of one tile; needs --mpp.")]
Mpp = Annotated[float | None, typer.Option("--mpp", help="Micrometres per pixel of the patch.")]
Region = Annotated[Path | None, typer.Option("--region", help="GeoJSON drawn on --slide, as QuPath exports it.")]
Named = Annotated[str | None, typer.Option("--class", help="Only annotations of this class in the GeoJSON.")]
Unit = Annotated[LengthUnit, typer.Option("--unit", help="Of the GeoJSON's numbers: level-0 pixels, or um.")]
Group = Annotated[str | None, typer.Option("--group", help="SQL condition: all items it allows, by their mean.")]
Like = Annotated[
    list[str] | None,
    typer.Option("--like", help="Id of an item that is right; may be repeated. Its slide may answer."),
]
Unlike = Annotated[list[str] | None, typer.Option("--unlike", help="Id of an item that is wrong; may be repeated.")]
Weight = Annotated[
    list[str] | None, typer.Option("--weight", help="Of one part of several, such as genes=2; may be repeated.")
]
Compose = Annotated[bool, typer.Option("--compose", help="Ask with everything that was given at once.")]


@dataclass(frozen=True, slots=True)
class QueryOptions(IndexOptions):
    """One query, given in one of several ways, or in several at once."""

    item: Item = None
    slide: Slide = None
    genes: Genes = None
    patch: Patch = None
    mpp: Mpp = None
    region: Region = None
    named: Named = None
    unit: Unit = "px"
    group: Group = None
    using: Using = None
    like: Like = None
    unlike: Unlike = None
    compose: Compose = False
    weight: Weight = None

    @property
    def query(self) -> Query:
        """The query that was given; raises `QueryError`."""
        parts = self._parts()
        if self.compose:
            return with_examples(composed(parts, self.weight), self.like, self.unlike, self.using)
        if self.weight:
            raise QueryError("--weight is for several parts at once; give --compose too.")
        if len(parts) != 1:
            more = "; or --compose to ask with all at once" if parts else ""
            raise QueryError(
                f"Got {' and '.join(f'--{way}' for way, _ in parts) or 'no query'}; give exactly one of "
                f"{', '.join(f'--{way}' for way in self._ways())}{more}."
            )
        return with_examples(parts[0][1](), self.like, self.unlike, self.using)

    @property
    def asked(self) -> str:
        """The query in a few words, for titles."""
        given = [self.item, self.genes, self.patch, self.region and self.region.name, self.group, self.slide]
        told = [str(one) for one in given if one]
        return " + ".join(told if self.compose else told[:1])

    def _ways(self) -> dict[str, tuple[object, Callable[[], Query]]]:
        return {
            "item": (self.item, lambda: ItemQuery(self.item or "", self.using)),
            "slide": (None if self.region else self.slide, lambda: SlideQuery(self.slide or "", self.using)),
            "genes": (self.genes, lambda: GenesQuery(self.genes or "")),
            "patch": (self.patch, lambda: patch_query(self.patch or Path(), self.mpp)),
            "region": (self.region, self._region),
            "group": (self.group, lambda: GroupQuery(self.group or "", self.using)),
        }

    def _region(self) -> Query:
        if self.slide is None:
            raise QueryError(f"The region {self.region} was given without --slide; say on which slide it was drawn.")
        return region_from_geojson(
            self.region or Path(), self.slide, named=self.named, unit=self.unit, using=self.using
        )

    def _parts(self) -> list[tuple[str, Callable[[], Query]]]:
        return [(way, made) for way, (given, made) in self._ways().items() if given is not None]


def open_engine(options: IndexOptions) -> "Engine":
    """Open the index that the options name."""
    from search.engine import Engine

    return Engine.open(
        options.db,
        space=options.space,
        device=options.device,
        engine=options.engine,
        search_device=options.search_device,
    )


def patch_query(file: Path, mpp: float | None) -> PatchQuery:
    """Read the pixels of one tile.

    Raises
    ------
    QueryError
        If mpp is not given, or the file is missing or no image that Pillow reads.
    """
    if mpp is None:
        raise QueryError(f"The patch {file} was given without --mpp; say how many micrometres one of its pixels is.")
    return PatchQuery(read_pixels(str(file)), mpp, file=str(file))


def read_pixels(file: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Pixels of an image file, uint8 `(height, width, 3)`; raises `QueryError`."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except FileNotFoundError as error:
        raise QueryError(f"There is no file {file}; give the path of a tile's image.") from error
    except (UnidentifiedImageError, OSError) as error:
        raise QueryError(f"Cannot read {file} as an image: {error}. Give a PNG, JPEG or TIFF tile.") from error


def with_examples(
    query: Query, like: Sequence[str] | None, unlike: Sequence[str] | None, using: Modality | None
) -> Query:
    """The query moved by items that are right and items that are wrong, if there are any."""
    if not like and not unlike:
        return query
    right, wrong = (tuple(ItemQuery(item, using) for item in items or ()) for items in (like, unlike))
    return ExamplesQuery(query, right, wrong, ROCCHIO)


def composed(parts: Sequence[tuple[str, Callable[[], Query]]], weights: Sequence[str] | None) -> Query:
    """Several parts at once, each named, with weights such as `genes=2`.

    Raises
    ------
    QueryError
        If there are fewer than two parts, or a weight names none of them or is no number.
    """
    if len(parts) < 2:
        raise QueryError(
            f"Got {' and '.join(f'--{way}' for way, _ in parts) or 'nothing'} to compose; give at least two, such as "
            "--item and --genes."
        )
    names = [way for way, _ in parts]
    told: dict[str, float] = {}
    for weight in weights or ():
        name, _, value = weight.partition("=")
        try:
            told[name] = float(value)
        except ValueError as error:
            raise QueryError(f"Cannot read the weight {weight!r}; expected PART=NUMBER, such as genes=2.") from error
        if name not in names:
            raise QueryError(f"The weight {weight!r} is of no part that was given; those are {', '.join(names)}.")
    return ComposedQuery(tuple(made() for _, made in parts), tuple(told.get(name, 1.0) for name in names))
