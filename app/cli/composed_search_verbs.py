"""`histoseek search region | group | compose`: queries made of several things."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import SearchOptions, Using, with_options
from app.cli.questions import (
    Genes,
    Group,
    Item,
    Like,
    Mpp,
    Named,
    Patch,
    QueryOptions,
    Region,
    Slide,
    Unit,
    Unlike,
    Weight,
)
from app.cli.search_answers import Target, answer, answer_all
from search.composing.regions import region_from_geojson
from search.query import GroupQuery, RegionQuery

Parts = Annotated[
    int, typer.Option("--parts", min=1, max=20, help="Search by so many kinds of tissue in it, each by itself.")
]


def register(verbs: typer.Typer) -> None:
    """Add the verbs to `histoseek search`."""
    for verb in (region, group, compose):
        verbs.command(verb.__name__)(verb)


@with_options(SearchOptions)
def region(
    file: Annotated[Path, typer.Argument(metavar="FILE.geojson", help="Annotations as QuPath exports them.")],
    slide: Annotated[str, typer.Option("--slide", help="Slide of the index they were drawn on.")],
    *,
    named: Named = None,
    unit: Unit = "px",
    parts: Parts = 1,
    using: Using = None,
    target: Target = "expression",
    options: SearchOptions,
) -> None:
    """Find what is like a region drawn on a slide; it is said whether the region is of one kind."""
    query = region_from_geojson(file, slide, named=named, unit=unit, using=using)
    _by_parts(query, f"region {file.name} on {slide}", parts, target, options)


@with_options(SearchOptions)
def group(
    *,
    of: Annotated[str, typer.Option("--of", help="SQL condition: \"label = 'invasive cancer' AND patient = 'B'\".")],
    parts: Parts = 1,
    using: Using = None,
    target: Target = "expression",
    options: SearchOptions,
) -> None:
    """Find what is like a group of items of the index; it is said whether the group is of one kind."""
    _by_parts(GroupQuery(of, using), f"group {of}", parts, target, options)


@with_options(SearchOptions)
def compose(
    *,
    item: Item = None,
    genes: Genes = None,
    patch: Patch = None,
    mpp: Mpp = None,
    region: Region = None,
    slide: Slide = None,
    named: Named = None,
    unit: Unit = "px",
    group: Group = None,
    weight: Weight = None,
    like: Like = None,
    unlike: Unlike = None,
    using: Using = None,
    target: Target = "image",
    options: SearchOptions,
) -> None:
    """Find what is like several things at once, such as a picture and genes; give at least two."""
    given = QueryOptions(
        item=item,
        genes=genes,
        patch=patch,
        mpp=mpp,
        region=region,
        slide=slide,
        named=named,
        unit=unit,
        group=group,
        weight=weight,
        like=like,
        unlike=unlike,
        using=using,
        compose=True,
    )
    answer(given.query, given.asked, target, options)


def _by_parts(query: RegionQuery | GroupQuery, asked: str, parts: int, target: Target, options: SearchOptions) -> None:
    queries = [replace(query, parts=parts, part=part + 1) for part in range(parts)]
    names = [asked] if parts == 1 else [f"{asked}, part {part + 1} of {parts}" for part in range(parts)]
    answer_all(queries, names, target, options)
