"""Items and slides of an index as picture panels."""

import textwrap
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from app.figures.picture_panel import Picture, SectionPlace
from app.tables.view import number, p_text
from indexer.slides import Pixels
from search.catalogue import Rows
from search.engine import Engine
from search.query import ExamplesQuery, ItemQuery, PatchQuery, Query
from search.result import SearchResult

_LINE_CHARS, _LICENCE_LINES = 31, 2


def hit_pictures(engine: Engine, result: SearchResult, *, at_most: int = 10) -> list[Picture]:
    """One panel a hit: its patch, or its place on its section where it has no image."""
    hits = result.table.slice(0, at_most).to_pylist()
    rows = engine.catalogue.rows_of([hit["id"] for hit in hits])
    thumbnails = engine.index.thumbnails(rows)
    return [
        _picture(engine, hit, thumbnail, heading=str(hit["rank"]), first=_score_line(hit))
        for hit, thumbnail in zip(hits, thumbnails, strict=True)
    ]


def item_picture(engine: Engine, item: str) -> Picture:
    """The panel of a query that is an item of the index."""
    row = engine.catalogue.row_of(item)
    facts = engine.catalogue.facts(row)
    (thumbnail,) = engine.index.thumbnails([row])
    return _picture(engine, facts, thumbnail, heading="Query", first="")


def query_picture(engine: Engine, query: Query) -> Picture | None:
    """The panel of a query that is, or begins with, an item or a patch; `None` for one without a picture."""
    match query:
        case ItemQuery(id=item):
            return item_picture(engine, item)
        case PatchQuery(pixels=pixels, mpp=mpp, file=file):
            lines = (_fit(Path(file).name if file else "a picture of your own"), f"{mpp:g} um per pixel")
            return Picture("Query", lines, pixels, pixels.shape[1] * mpp)
        case ExamplesQuery(start=start) if start is not None:
            return query_picture(engine, start)
        case _:
            return None


def slide_pictures(engine: Engine, result: SearchResult, slide: str, *, at_most: int = 10) -> list[Picture]:
    """The query slide and its hits as whole sections."""
    slides = {row["slide"]: row for row in engine.index.slides().to_pylist()}
    hits = result.table.slice(0, at_most).to_pylist()
    return [
        _section_picture(engine, slides[slide], "Query", ""),
        *(_section_picture(engine, slides[hit["slide"]], str(hit["rank"]), _score_line(hit)) for hit in hits),
    ]


def decoded(jpeg: bytes) -> Pixels:
    """Pixels of a stored thumbnail, uint8 `(height, width, 3)`."""
    from PIL import Image

    with Image.open(BytesIO(jpeg)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _picture(engine: Engine, facts: Mapping[str, Any], thumbnail: bytes | None, *, heading: str, first: str) -> Picture:
    name = facts["id"].split("/", 1)[1]  # the slide stands on a line of its own
    label = f" · {facts['label']}" if facts["label"] else ""
    lines = [*([first] if first else []), _fit(f"{name}{label}"), *_provenance_lines(facts)]
    return Picture(
        heading=heading,
        lines=tuple(lines),
        pixels=None if thumbnail is None else decoded(thumbnail),
        side_um=facts["side_um"],
        spot_um=facts["spot_um"],
        place=None if thumbnail is not None else _place(engine, facts),
        generated=facts["generated"],
    )


def _section_picture(engine: Engine, slide: Mapping[str, Any], heading: str, first: str) -> Picture:
    pixels, side_um, place = None, None, None
    if slide["thumbnail"] is not None and slide["mpp"] is not None:
        pixels = _squared(decoded(slide["thumbnail"]))
        side_um = len(pixels) / slide["thumbnail_scale"] * slide["mpp"]
    elif slide["mpp"] is not None and len(positions := _positions(engine, slide["slide"])):
        place = SectionPlace(positions * slide["mpp"], None)
    lines = [*([first] if first else []), *_provenance_lines(slide)]
    return Picture(heading, tuple(lines), pixels, side_um, None, place, slide["generated"])


def _place(engine: Engine, facts: Mapping[str, Any]) -> SectionPlace | None:
    if facts["x_px"] is None or facts["mpp"] is None:
        return None
    here = (facts["x_px"] * facts["mpp"], facts["y_px"] * facts["mpp"])
    return SectionPlace(_positions(engine, facts["slide"]) * facts["mpp"], here)


def _positions(engine: Engine, slide: str) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Centres of a slide's spots, or of its tiles where it has no spots, level-0 pixels, float64 `(n, 2)`."""
    kinds = np.where(engine.catalogue.column("slide") == slide, engine.catalogue.column("kind"), "")
    on: Rows = np.flatnonzero(kinds == "spot")
    if not len(on):
        on = np.flatnonzero(kinds == "tile")
    return np.stack([engine.catalogue.column(name)[on].astype(np.float64) for name in ("x_px", "y_px")], axis=1)


def _provenance_lines(facts: Mapping[str, Any]) -> list[str]:
    generated = " · GENERATED" if facts["generated"] else ""
    licence = textwrap.wrap(facts["licence"], _LINE_CHARS, max_lines=_LICENCE_LINES, placeholder=" …")
    return [_fit(f"{facts['slide']} · patient {facts['patient']} · {facts['cohort']}{generated}"), *licence]


def _score_line(hit: Mapping[str, Any]) -> str:
    p_value = p_text(hit["p_value"])
    return (
        f"score {number(hit['score'])}  p {p_value}" if hit["p_value"] is not None else f"score {number(hit['score'])}"
    )


def _fit(line: str) -> str:
    return textwrap.shorten(line, _LINE_CHARS, placeholder=" …")


def _squared(pixels: Pixels) -> Pixels:
    """The picture in the middle of a white square."""
    height, width = pixels.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), 255, dtype=np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = pixels
    return square
