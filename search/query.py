"""Queries: what a user holds (an item, a slide, genes, pixels, a profile), before it is a vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.contracts import Modality


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


@dataclass(frozen=True, slots=True)
class GenesQuery:
    """A short weighted gene list, such as `ERBB2:2 KRT19 -VIM`."""

    text: str

    def describe(self) -> dict[str, Any]:
        """JSON-ready form, from which the query can be asked again."""
        return {"type": "genes", "text": self.text}


@dataclass(frozen=True, slots=True)
class SentenceQuery:
    """A gene sentence: symbols from the highest value down."""

    text: str

    def describe(self) -> dict[str, Any]:
        """JSON-ready form, from which the query can be asked again."""
        return {"type": "sentence", "text": self.text}


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
    """

    pixels: npt.NDArray[np.uint8]
    mpp: float
    slide: str | None = None

    def describe(self) -> dict[str, Any]:
        """What was asked; the pixels themselves are not kept."""
        return {"type": "patch", "shape": list(self.pixels.shape), "mpp": self.mpp, "slide": self.slide}


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


Query = ItemQuery | SlideQuery | GenesQuery | SentenceQuery | PatchQuery | ProfileQuery | VectorQuery
