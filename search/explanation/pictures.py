"""Which part of a picture makes a score: what is lost when a square of it is painted over with its mean colour."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from encoders.contracts import PatchSpec, SectionStats, Vectors
from encoders.space import Space
from indexer.errors import SlideError
from indexer.slides import Pixels
from search.catalogue import Catalogue
from search.encoding import resample_patch
from search.query import PatchQuery

_CELLS = 6  # of the grid, each way


@dataclass(frozen=True, slots=True)
class Occlusion:
    """What a score loses square by square.

    Attributes
    ----------
    of : {"query", "hit"}
        Whose picture was painted over.
    losses : float64 (6, 6)
        Score of the whole picture less the score without that square, top left first; above 0 speaks for the hit.
    score : float
        Score of the whole picture, encoded anew.
    source : {"slide", "thumbnail", "query"}
        Where the pixels are from; a thumbnail is coarser than what was indexed.
    """

    of: Literal["query", "hit"]
    losses: npt.NDArray[np.float64]
    score: float
    source: Literal["slide", "thumbnail", "query"]


@dataclass(frozen=True, slots=True)
class Patch:
    """Pixels of one item or query as its space takes them, and the section they are from."""

    pixels: Pixels
    section: SectionStats | None
    source: Literal["slide", "thumbnail", "query"]


def occlusion(patch: Patch, space: Space, other: Vectors, of: Literal["query", "hit"]) -> Occlusion:
    """Paint over each square of a patch in turn and encode all at once (Zeiler & Fergus, ECCV 2014).

    Parameters
    ----------
    patch : Patch
        Of the side in pixels that the space takes.
    other : float32 (dim,)
        What the picture is compared with.
    """
    side = patch.pixels.shape[0]
    edges = np.linspace(0, side, _CELLS + 1).astype(int)
    mean = np.round(patch.pixels.reshape(-1, 3).mean(axis=0)).astype(np.uint8)
    variants = np.repeat(patch.pixels[None], _CELLS * _CELLS + 1, axis=0)
    for place in range(_CELLS * _CELLS):
        row, column = divmod(place, _CELLS)
        variants[place, edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = mean
    scores = space.image.encode(variants, section=patch.section).astype(np.float64) @ other.astype(np.float64)
    losses = (scores[-1] - scores[:-1]).reshape(_CELLS, _CELLS)
    return Occlusion(of, losses, float(scores[-1]), patch.source)


def patch_of_query(query: PatchQuery, catalogue: Catalogue, spec: PatchSpec) -> Patch:
    """Pixels of a patch query; raises `QueryError`."""
    section = None if query.slide is None else _section(catalogue, query.slide)
    return Patch(resample_patch(query.pixels, query.mpp, spec), section, "query")


def patch_of_item(catalogue: Catalogue, row: int, spec: PatchSpec) -> Patch | None:
    """Pixels of a tile or spot, from its slide where that still lies there, or else its thumbnail; `None` without."""
    facts = catalogue.facts(row)
    if facts["x_px"] is None or facts["kind"] == "slide":
        return None
    section = _section(catalogue, facts["slide"])
    pixels = _from_slide(catalogue, facts["slide"], (facts["x_px"], facts["y_px"]), spec)
    if pixels is not None:
        return Patch(pixels, section, "slide")
    (jpeg,) = catalogue.index.thumbnails([row])
    if jpeg is None:
        return None
    from PIL import Image

    with Image.open(BytesIO(jpeg)) as image:
        small = image.convert("RGB").resize((spec.side_px, spec.side_px), Image.Resampling.BICUBIC)
    return Patch(np.asarray(small, dtype=np.uint8), section, "thumbnail")


def _from_slide(catalogue: Catalogue, slide: str, xy_px: tuple[float, float], spec: PatchSpec) -> Pixels | None:
    """Pixels of the slide's own file; `None` if it is gone, cannot be read, or has another frame than was indexed."""
    facts = _slide_facts(catalogue, slide)
    path, mpp = facts["image_path"], facts["mpp"]
    if path is None or mpp is None or not Path(path).exists():
        return None
    from indexer.readers.pictures import open_picture

    try:
        image = open_picture(Path(path))
        try:
            if image.size_px != (facts["width_px"], facts["height_px"]):
                return None
            return image.read(*xy_px, spec.side_um / mpp, spec.side_px)
        finally:
            image.close()
    except SlideError:
        return None


def _section(catalogue: Catalogue, slide: str) -> SectionStats | None:
    values = _slide_facts(catalogue, slide)["section_stats"]
    return SectionStats.from_list(values) if values else None


def _slide_facts(catalogue: Catalogue, slide: str) -> dict[str, Any]:
    slides = catalogue.index.slides()
    place = slides.column("slide").to_pylist().index(slide)
    wanted = slides.select(["image_path", "mpp", "width_px", "height_px", "section_stats"]).slice(place, 1)
    facts: dict[str, Any] = wanted.to_pylist()[0]
    return facts
