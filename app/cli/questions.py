"""From what was typed to an engine and a query."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.cli.options import IndexOptions
from encoders.contracts import Modality
from search.errors import QueryError
from search.query import GenesQuery, ItemQuery, PatchQuery, Query, SlideQuery

if TYPE_CHECKING:
    from search.engine import Engine


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


def one_query(
    *,
    item: str | None = None,
    slide: str | None = None,
    genes: str | None = None,
    patch: Path | None = None,
    mpp: float | None = None,
    using: Modality | None = None,
) -> Query:
    """The one query among four ways to give it.

    Raises
    ------
    QueryError
        If none or several were given, or a patch without its mpp.
    """
    if patch is not None and mpp is None:
        raise QueryError(f"The patch {patch} was given without --mpp; say how many micrometres one of its pixels is.")
    ways: dict[str, Callable[[], Query]] = {
        "--item": lambda: ItemQuery(item or "", using),
        "--slide": lambda: SlideQuery(slide or "", using),
        "--genes": lambda: GenesQuery(genes or ""),
        "--patch": lambda: patch_query(patch or Path(), mpp or 0.0),
    }
    given = [way for way, value in zip(ways, (item, slide, genes, patch), strict=True) if value is not None]
    if len(given) != 1:
        raise QueryError(f"Got {' and '.join(given) or 'no query'}; give exactly one of {', '.join(ways)}.")
    return ways[given[0]]()
