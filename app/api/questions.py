"""Questions as they come in over HTTP; each is the JSON form that answers give back as `query`."""

import base64
import binascii
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.api.conditions import Where
from app.api.settings import MAX_BASE64, MAX_DIM, MAX_GENES, MAX_PARTS, MAX_POINTS, MAX_TEXT
from app.errors import ShowError
from app.uploads import decode_patch
from encoders.contracts import Modality
from search.query import (
    ROCCHIO,
    ComposedQuery,
    ExamplesQuery,
    GenesQuery,
    GroupQuery,
    ItemQuery,
    LengthUnit,
    PatchQuery,
    ProfileQuery,
    Query,
    RegionQuery,
    SentenceQuery,
    SlideQuery,
    VectorQuery,
)

Name = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]
Finite = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]
Mpp = Annotated[float, Field(ge=0.01, le=20, allow_inf_nan=False, description="Micrometres per pixel.", examples=[0.5])]
Part = Annotated[int, Field(ge=1, le=20, description="Which of so many parts that the items fall into.")]


class Asked(BaseModel):
    """Base of what comes in: unknown fields are refused, so that a misspelt one is not passed over."""

    model_config = ConfigDict(extra="forbid")


class AskItem(Asked):
    """An item of the index."""

    type: Literal["item"]
    id: Name = Field(description="Id of the item.", examples=["C2/spot/10x21"])
    using: Modality | None = Field(None, description="Side asked with; by default its image where it has one.")

    def query(self) -> Query:
        """The query."""
        return ItemQuery(self.id, self.using)


class AskSlide(Asked):
    """A whole slide of the index."""

    type: Literal["slide"]
    slide: Name = Field(description="Name of the slide.", examples=["C2"])
    using: Modality | None = Field(None, description="Side asked with; by default the one most slides share.")

    def query(self) -> Query:
        """The query."""
        return SlideQuery(self.slide, self.using)


class AskGenes(Asked):
    """A short weighted gene list; a minus asks for low expression."""

    type: Literal["genes"]
    text: Text = Field(examples=["ERBB2:2 KRT19 -VIM"])

    def query(self) -> Query:
        """The query."""
        return GenesQuery(self.text)


class AskSentence(Asked):
    """Gene symbols from the highest value down."""

    type: Literal["sentence"]
    text: Annotated[str, StringConstraints(min_length=1, max_length=100_000)] = Field(examples=["ERBB2 KRT19 GRB7"])

    def query(self) -> Query:
        """The query."""
        return SentenceQuery(self.text)


class AskProfile(Asked):
    """Raw counts of one transcriptome from outside the index."""

    type: Literal["profile"]
    counts: list[Finite] = Field(min_length=1, max_length=MAX_GENES, examples=[[12, 3, 0]])
    genes: list[Name] = Field(min_length=1, max_length=MAX_GENES, examples=[["ERBB2", "KRT19", "VIM"]])

    def query(self) -> Query:
        """The query."""
        return ProfileQuery(np.array(self.counts, dtype=np.float64), self.genes)


class AskVector(Asked):
    """A vector of the index's space that was made elsewhere."""

    type: Literal["vector"]
    vector: list[Finite] = Field(min_length=1, max_length=MAX_DIM, description="As long as the space's `dim`.")
    modality: Modality = "image"
    slide: Name | None = Field(None, description="Slide it was computed from, which is left out of the hits.")

    def query(self) -> Query:
        """The query."""
        vector = np.array(self.vector, dtype=np.float64)
        largest = np.abs(vector).max()  # the direction alone counts, and the smallest numbers have no square
        return VectorQuery(vector / largest if largest else vector, self.modality, self.slide)


class AskPatch(Asked):
    """The picture of one tile; a form at `/v1/VERB/patch` takes it as a file."""

    type: Literal["patch"]
    png: str = Field(min_length=1, max_length=MAX_BASE64, description="PNG, JPEG or TIFF in base64.")
    mpp: Mpp
    slide: Name | None = Field(None, description="Slide of the index the pixels were cut from, left out.")

    def query(self) -> Query:
        """The query. Raises `ShowError` for what is no picture, or too large."""
        try:
            content = base64.b64decode(self.png, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ShowError(f"The picture of the patch is no base64: {error}. Encode the file's bytes.") from error
        return PatchQuery(decode_patch(content), self.mpp, self.slide)


Point = tuple[Finite, Finite]
Ring = Annotated[list[Point], Field(min_length=3, max_length=MAX_POINTS)]
Polygon = Annotated[list[Ring], Field(min_length=1, max_length=20)]


class AskRegion(Asked):
    """What lies inside an outline on a slide of the index."""

    type: Literal["region"]
    slide: Name = Field(examples=["C2"])
    polygons: list[Polygon] = Field(
        min_length=1,
        max_length=20,
        description="Coordinates of a GeoJSON MultiPolygon.",
        examples=[[[[[2000, 5000], [4000, 5000], [4000, 7000], [2000, 7000]]]]],
    )
    unit: LengthUnit = Field("px", description="Level-0 pixels, as QuPath writes them, or micrometres.")
    using: Modality | None = None
    parts: Part = 1
    part: Part = 1

    def query(self) -> Query:
        """The query."""
        rings = tuple(tuple(map(tuple, polygon)) for polygon in self.polygons)
        return RegionQuery(self.slide, rings, self.unit, self.using, self.parts, self.part)


class AskGroup(Asked):
    """All items that a condition allows: their centroid."""

    type: Literal["group"]
    of: Where
    using: Modality | None = None
    parts: Part = 1
    part: Part = 1

    def query(self) -> Query:
        """The query."""
        return GroupQuery(self.of, self.using, self.parts, self.part)


Simple = Annotated[
    AskItem | AskSlide | AskGenes | AskSentence | AskProfile | AskVector | AskPatch | AskRegion | AskGroup,
    Field(discriminator="type"),
]
Weight = Annotated[float, Field(allow_inf_nan=False, ge=-1_000, le=1_000)]
Positive = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1_000)]


class AskComposed(Asked):
    """Several questions at once, such as a picture and genes: the weighted sum of their directions."""

    type: Literal["composed"]
    parts: list[Simple] = Field(min_length=2, max_length=MAX_PARTS)
    weights: list[Weight] | None = Field(None, min_length=2, max_length=MAX_PARTS, description="One a part.")

    def query(self) -> Query:
        """The query."""
        weights = None if self.weights is None else tuple(self.weights)
        return ComposedQuery(tuple(part.query() for part in self.parts), weights)


class AskExamples(Asked):
    """A question moved towards examples that are right, and away from examples that are wrong."""

    type: Literal["examples"]
    start: Simple | AskComposed | None = Field(None, description="What was asked first.")
    like: list[Simple] = Field(default=[], max_length=MAX_PARTS)
    unlike: list[Simple] = Field(default=[], max_length=MAX_PARTS)
    weights: tuple[Positive, Positive, Positive] = Field(ROCCHIO, description="Of the start, of like, of unlike.")

    def query(self) -> Query:
        """The query."""
        start = None if self.start is None else self.start.query()
        like, unlike = (tuple(one.query() for one in ones) for ones in (self.like, self.unlike))
        return ExamplesQuery(start, like, unlike, self.weights)


Question = Annotated[
    AskItem
    | AskSlide
    | AskGenes
    | AskSentence
    | AskProfile
    | AskVector
    | AskPatch
    | AskRegion
    | AskGroup
    | AskComposed
    | AskExamples,
    Field(discriminator="type"),
]

EXAMPLES: dict[str, dict[str, Any]] = {
    "genes": {"type": "genes", "text": "ERBB2:2 KRT19 -VIM"},
    "item": {"type": "item", "id": "C2/spot/10x21"},
    "slide": {"type": "slide", "slide": "C2"},
    "examples": {
        "type": "examples",
        "start": {"type": "genes", "text": "ERBB2 KRT19"},
        "like": [{"type": "item", "id": "C2/spot/10x21"}],
    },
}
