"""What is in the index, as pages of rows."""

from typing import Any

import numpy as np

from app.api.problems import Refusal
from encoders.image_registry import describe_encoders
from encoders.registry import describe_spaces
from search.engine import Engine
from search.errors import ItemMissingError
from search.retrieval.filters import where_mask

_OF_SLIDE = (
    "slide", "patient", "cohort", "organ", "diagnosis", "technology", "species", "licence", "citation", "generated",
    "mpp", "width_px", "height_px", "n_spots", "n_cells", "n_tiles",
)  # fmt: skip
_OF_SPACE = ("name", "revision", "dim", "licence", "training_data")
_OF_ENCODER = ("name", "modality", "dim", "side_px", "side_um", "mpp", "licence", "gated", "source", "package", "state")


def slides(engine: Engine, limit: int, offset: int) -> dict[str, Any]:
    """A page of the slides, without their pictures and without where they lie on the server."""
    table = engine.index.slide_facts()
    rows = table.select([*_OF_SLIDE]).slice(offset, limit).to_pylist()
    pictures = table.column("thumbnail_scale").slice(offset, limit).is_valid().to_pylist()
    found = [row | {"has_picture": has} for row, has in zip(rows, pictures, strict=True)]
    return {"n": table.num_rows, "slides": found}


def slide(engine: Engine, name: str) -> dict[str, Any]:
    """One slide; raises `ItemMissingError`."""
    place = _place_of(engine, name)
    found: dict[str, Any] = slides(engine, 1, place)["slides"][0]
    return found


def slide_picture(engine: Engine, name: str) -> bytes:
    """JPEG of a slide; raises `ItemMissingError`."""
    _place_of(engine, name)
    picture = engine.index.slide_picture(name)
    if picture is None:
        raise ItemMissingError(f"Slide {name!r} has no picture in this index; it came without an image.")
    return picture


def items(engine: Engine, where: str | None, limit: int, offset: int) -> dict[str, Any]:
    """A page of the items that a condition allows; raises `FilterError`."""
    catalogue = engine.catalogue
    rows = np.arange(len(catalogue)) if where is None else np.flatnonzero(where_mask(catalogue, where))
    columns = catalogue.index.columns.take(rows[offset : offset + limit])
    names = list(columns)
    values = (columns[name].to_pylist() for name in names)
    return {"n": len(rows), "items": [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]}


def item(engine: Engine, name: str) -> dict[str, Any]:
    """One item; raises `ItemMissingError`."""
    catalogue = engine.catalogue
    return catalogue.facts(catalogue.row_of(name))


def item_picture(engine: Engine, name: str) -> bytes:
    """JPEG of an item's patch; raises `ItemMissingError`."""
    catalogue = engine.catalogue
    picture = catalogue.index.thumbnails([catalogue.row_of(name)])[0]
    if picture is None:
        raise ItemMissingError(f"Item {name!r} has no picture in this index; it came without an image.")
    return picture


def genes(engine: Engine, contains: str | None, limit: int, offset: int) -> dict[str, Any]:
    """A page of the panel, those that begin with the text first."""
    index, part = engine.index, (contains or "").upper()
    pairs = zip(index.genes, index.ensembl_ids, strict=True)
    found = [pair for pair in pairs if part in pair[0].upper() or part == (pair[1] or "").upper()]
    if part:
        found.sort(key=lambda pair: (not pair[0].upper().startswith(part), len(pair[0])))
    page = [{"symbol": symbol, "ensembl_id": ensembl} for symbol, ensembl in found[offset : offset + limit]]
    return {"n": len(found), "genes": page}


def index(engine: Engine) -> dict[str, Any]:
    """What the index holds, and in which space."""
    card, table = engine.index.card, engine.index.slide_facts()
    return {
        "version": card.version,
        "n_slides": card.n_slides,
        "counts": card.counts,
        "n_genes": card.n_genes,
        "n_failed": engine.index.failed().num_rows,
        "space": {name: getattr(card.space, name) for name in _OF_SPACE},
        "licences": sorted(set(table.column("licence").to_pylist())),
        "generated": any(table.column("generated").to_pylist()),
    }


def encoders(_: Engine) -> dict[str, Any]:
    """Spaces and encoders with their state; where their files lie is not told."""
    from app.tables.space import encoder_row

    spaces = [
        {"state": status.state, **{name: getattr(status.card, name, None) for name in _OF_SPACE}, "name": status.name}
        for status in describe_spaces()
    ]
    rows = [encoder_row(status) for status in describe_encoders()]
    return {"spaces": spaces, "encoders": [{name: row[name] for name in _OF_ENCODER} for row in rows]}


def _place_of(engine: Engine, name: str) -> int:
    engine.catalogue.slide_row(name)  # says what there is instead
    names: list[str] = engine.index.slide_facts().column("slide").to_pylist()
    if name not in names:
        raise Refusal(404, f"No slide {name!r} in this index any more; it was taken out meanwhile.")
    return names.index(name)
