"""From what was typed to an engine and a query."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.cli.options import IndexOptions
from search.errors import QueryError
from search.query import GenesQuery, ItemQuery, PatchQuery, Query, SlideQuery

if TYPE_CHECKING:
    from search.engine import Engine


def open_engine(options: IndexOptions) -> "Engine":
    """Open the index that the options name."""
    from search.engine import Engine

    return Engine.open(options.db, space=options.space, device=options.device)


def patch_query(file: Path, mpp: float) -> PatchQuery:
    """Read the pixels of one tile.

    Raises
    ------
    QueryError
        If the file is missing or no image that Pillow reads.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=np.uint8)
    except FileNotFoundError as error:
        raise QueryError(f"There is no file {file}; give the path of a tile's image.") from error
    except (UnidentifiedImageError, OSError) as error:
        raise QueryError(f"Cannot read {file} as an image: {error}. Give a PNG, JPEG or TIFF tile.") from error
    return PatchQuery(pixels, mpp)


def one_query(*, item: str | None, slide: str | None, genes: str | None) -> Query:
    """The one query among three ways to give it.

    Raises
    ------
    QueryError
        If none or several were given.
    """
    given: list[Query] = [
        *([ItemQuery(item)] if item is not None else []),
        *([SlideQuery(slide)] if slide is not None else []),
        *([GenesQuery(genes)] if genes is not None else []),
    ]
    if len(given) != 1:
        raise QueryError(f"{len(given)} queries were given; give one of --item, --slide and --genes.")
    return given[0]
