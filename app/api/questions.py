"""Questions as they come in over HTTP; each is the JSON form that answers give back as `query`."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.api.settings import MAX_DIM, MAX_GENES, MAX_TEXT
from encoders.contracts import Modality
from search.query import GenesQuery, ItemQuery, ProfileQuery, Query, SentenceQuery, SlideQuery, VectorQuery

Name = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]
Finite = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]
Mpp = Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False, description="Micrometres per pixel.", examples=[0.5])]


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


Question = Annotated[AskItem | AskSlide | AskGenes | AskSentence | AskProfile | AskVector, Field(discriminator="type")]

EXAMPLES: dict[str, dict[str, Any]] = {
    "genes": {"type": "genes", "text": "ERBB2:2 KRT19 -VIM"},
    "item": {"type": "item", "id": "C2/spot/10x21"},
    "slide": {"type": "slide", "slide": "C2"},
}
