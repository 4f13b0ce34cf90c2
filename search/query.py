"""Queries: what a user holds (an item, a slide, genes, pixels, a profile, or several of these), before it is a vector.

Each says what was asked twice: `describe()` is short, as results carry it, and leaves out pixels, counts and numbers;
`to_dict()` is all there is, and `search.query_form.query_from_dict` makes the same query of it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from encoders.contracts import Modality

#: Weights of the query, of the mean of what it should be like, and of what it should not; see `ExamplesQuery`.
ROCCHIO = (1.0, 1.0, 0.75)
LengthUnit = Literal["px", "um"]
#: A polygon as GeoJSON has it: its outline, then its holes, each of `(x, y)`.
Rings = tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True, slots=True)
class ItemQuery:
    """An item of the index.

    Attributes
    ----------
    id : str
        Id of the item, such as `C2/spot/10x21`.
    using : {"image", "expression"}, optional
        The side of the item to ask with; by default its image where it has one.
    """

    id: str
    using: Modality | None = None

    def describe(self) -> dict[str, Any]:
        """JSON-ready form, from which the query can be asked again."""
        return {"type": "item", "id": self.id, "using": self.using}

    def to_dict(self) -> dict[str, Any]:
        """The same: it is all there is."""
        return self.describe()


@dataclass(frozen=True, slots=True)
class SlideQuery:
    """A whole slide of the index, by its name.

    Attributes
    ----------
    slide : str
        Name of the slide.
    using : {"image", "expression"}, optional
        The side of the slide to ask with; by default its image where it has one.
    """

    slide: str
    using: Modality | None = None

    def describe(self) -> dict[str, Any]:
        """JSON-ready form, from which the query can be asked again."""
        return {"type": "slide", "slide": self.slide, "using": self.using}

    def to_dict(self) -> dict[str, Any]:
        """The same: it is all there is."""
        return self.describe()


@dataclass(frozen=True, slots=True)
class GenesQuery:
    """A short weighted gene list, such as `ERBB2:2 KRT19 -VIM`."""

    text: str

    def describe(self) -> dict[str, Any]:
        """JSON-ready form, from which the query can be asked again."""
        return {"type": "genes", "text": self.text}

    def to_dict(self) -> dict[str, Any]:
        """The same: it is all there is."""
        return self.describe()


@dataclass(frozen=True, slots=True)
class SentenceQuery:
    """A gene sentence: symbols from the highest value down."""

    text: str

    def describe(self) -> dict[str, Any]:
        """JSON-ready form, from which the query can be asked again."""
        return {"type": "sentence", "text": self.text}

    def to_dict(self) -> dict[str, Any]:
        """The same: it is all there is."""
        return self.describe()


@dataclass(frozen=True, slots=True)
class PatchQuery:
    """Pixels from outside the index, or cut from one of its slides.

    Attributes
    ----------
    pixels : uint8 (height, width, 3)
        RGB in [0, 255], at least as large as the patch of the space.
    mpp : float
        Micrometres per pixel of `pixels`.
    slide : str, optional
        Slide of the index the pixels were cut from: its stain is taken off, and it is left out of the hits.
    file : str, optional
        Where they were read from.
    """

    pixels: npt.NDArray[np.uint8]
    mpp: float
    slide: str | None = None
    file: str | None = None

    def describe(self) -> dict[str, Any]:
        """What was asked; of the pixels the file and their digest."""
        digest = hashlib.sha256(self.pixels.tobytes()).hexdigest()
        told = {"type": "patch", "shape": list(self.pixels.shape), "mpp": self.mpp, "slide": self.slide}
        return told | {"file": self.file, "pixels_sha256": digest}

    def to_dict(self) -> dict[str, Any]:
        """All of it, JSON-ready; the pixels as a PNG in base64."""
        from search.pixel_text import text_of_pixels

        return self.describe() | {"png": text_of_pixels(self.pixels)}


@dataclass(frozen=True, slots=True)
class ProfileQuery:
    """One transcriptome from outside the index.

    Attributes
    ----------
    counts : float (n_genes,)
        Raw counts.
    genes : sequence of str
        Symbol of each value.
    """

    counts: npt.NDArray[np.floating[Any]]
    genes: Sequence[str]

    def describe(self) -> dict[str, Any]:
        """What was asked; the counts themselves are not kept."""
        return {"type": "profile", "n_genes": len(self.genes), "total_counts": float(np.sum(self.counts))}

    def to_dict(self) -> dict[str, Any]:
        """All of it, JSON-ready."""
        counts = np.asarray(self.counts, dtype=np.float64).tolist()
        return self.describe() | {"counts": counts, "genes": list(self.genes)}


@dataclass(frozen=True, slots=True)
class VectorQuery:
    """A vector of the index's space that was made elsewhere.

    Attributes
    ----------
    vector : float (dim,)
        Scaled to length 1 before it is compared.
    modality : {"image", "expression"}
        What it was computed from.
    slide : str, optional
        Slide of the index it was computed from, which is left out of the hits.
    """

    vector: npt.NDArray[np.floating[Any]]
    modality: Modality = "image"
    slide: str | None = None

    def describe(self) -> dict[str, Any]:
        """What was asked; the numbers themselves are not kept."""
        return {"type": "vector", "dim": int(np.size(self.vector)), "modality": self.modality, "slide": self.slide}

    def to_dict(self) -> dict[str, Any]:
        """All of it, JSON-ready."""
        return self.describe() | {"vector": np.asarray(self.vector, dtype=np.float64).tolist()}


SimpleQuery = ItemQuery | SlideQuery | GenesQuery | SentenceQuery | PatchQuery | ProfileQuery | VectorQuery


@dataclass(frozen=True, slots=True)
class ExamplesQuery:
    """A query moved towards examples that are right and away from examples that are wrong.

    `q' = unit(a q + b mean(like) - c mean(unlike))` over unit vectors (Rocchio, Relevance feedback in information
    retrieval, in Salton: The SMART Retrieval System, 1971). For texts 1, 0.75 and 0.15 are usual (Manning, Raghavan &
    Schuetze, Introduction to Information Retrieval, 2008, section 9.1.1); what is unlike says more in a space of
    tissue, where near misses lie close to the query, so by default it weighs more (`docs/queries.md`).

    Attributes
    ----------
    start : Query or None
        What was asked first; without it the examples alone are asked with.
    like, unlike : tuple of Query
        At least one of `like` where there is no start.
    weights : tuple of float
        `a`, `b` and `c`, none below 0.
    """

    start: "Query | None"
    like: tuple["Query", ...] = ()
    unlike: tuple["Query", ...] = ()
    weights: tuple[float, float, float] = ROCCHIO

    def describe(self) -> dict[str, Any]:
        """What was asked, each example in its short form."""
        return self._form([None if one is None else one.describe() for one in self._all()])

    def to_dict(self) -> dict[str, Any]:
        """All of it, JSON-ready."""
        return self._form([None if one is None else one.to_dict() for one in self._all()])

    def _all(self) -> tuple["Query | None", ...]:
        return (self.start, *self.like, *self.unlike)

    def _form(self, forms: list[dict[str, Any] | None]) -> dict[str, Any]:
        like = forms[1 : 1 + len(self.like)]
        unlike = forms[1 + len(self.like) :]
        return {
            "type": "examples",
            "start": forms[0],
            "like": like,
            "unlike": unlike,
            "weights": list(self.weights),
        }


@dataclass(frozen=True, slots=True)
class ComposedQuery:
    """Several queries at once, such as a picture and genes: the weighted sum of their directions.

    Where the parts are of both sides, each is taken from the mean of its side and brought to the same spread of scores
    over the index, so that neither side decides alone because its vectors lie closer together.

    Attributes
    ----------
    parts : tuple of Query
        At least two.
    weights : tuple of float, optional
        One a part, not 0; below 0 asks for the opposite. By default 1 each.
    """

    parts: tuple["Query", ...]
    weights: tuple[float, ...] | None = None

    def describe(self) -> dict[str, Any]:
        """What was asked, each part in its short form."""
        return {"type": "composed", "parts": [part.describe() for part in self.parts], "weights": self._weights()}

    def to_dict(self) -> dict[str, Any]:
        """All of it, JSON-ready."""
        return {"type": "composed", "parts": [part.to_dict() for part in self.parts], "weights": self._weights()}

    def _weights(self) -> list[float] | None:
        return None if self.weights is None else list(self.weights)


@dataclass(frozen=True, slots=True)
class RegionQuery:
    """What lies inside an outline on a slide of the index: the centroid of its tiles, spots and cells.

    Attributes
    ----------
    slide : str
        Name of the slide.
    polygons : tuple of Rings
        As the coordinates of a GeoJSON MultiPolygon; see `search.composing.regions.region_from_geojson`.
    unit : {"px", "um"}
        Level-0 pixels, as QuPath writes them, or micrometres.
    using : {"image", "expression"}, optional
        The side of the items to ask with; by default their image where they have one.
    parts, part : int
        Ask with one of so many parts that the items fall into by their vectors, the largest first, from 1.
    """

    slide: str
    polygons: tuple[Rings, ...]
    unit: LengthUnit = "px"
    using: Modality | None = None
    parts: int = 1
    part: int = 1

    def describe(self) -> dict[str, Any]:
        """JSON-ready form, from which the query can be asked again."""
        return {
            "type": "region",
            "slide": self.slide,
            "polygons": [[[list(point) for point in ring] for ring in polygon] for polygon in self.polygons],
            "unit": self.unit,
            "using": self.using,
            "parts": self.parts,
            "part": self.part,
        }

    def to_dict(self) -> dict[str, Any]:
        """The same: it is all there is."""
        return self.describe()


@dataclass(frozen=True, slots=True)
class GroupQuery:
    """All items that a condition allows: their centroid.

    Attributes
    ----------
    of : str
        SQL condition over the columns of an item, such as `label = 'invasive cancer' AND patient = 'B'`.
    using : {"image", "expression"}, optional
        The side of the items to ask with; by default the one that most of them have, image if equal.
    parts, part : int
        Ask with one of so many parts that the items fall into by their vectors, the largest first, from 1.
    """

    of: str
    using: Modality | None = None
    parts: int = 1
    part: int = 1

    def describe(self) -> dict[str, Any]:
        """JSON-ready form, from which the query can be asked again."""
        return {"type": "group", "of": self.of, "using": self.using, "parts": self.parts, "part": self.part}

    def to_dict(self) -> dict[str, Any]:
        """The same: it is all there is."""
        return self.describe()


Query = SimpleQuery | ExamplesQuery | ComposedQuery | RegionQuery | GroupQuery
