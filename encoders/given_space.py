"""A space whose vectors were made elsewhere: it says what they are and encodes nothing."""

# ruff: noqa: ARG002  # the arguments are those of the contracts; nothing is done with them

from collections.abc import Sequence
from typing import NoReturn

import scipy.sparse as sp

from encoders.contracts import (
    EncoderInfo,
    ExpressionEncoding,
    Floats,
    Modality,
    Patches,
    PatchSpec,
    SectionStats,
    Vectors,
)
from encoders.errors import EncoderError
from encoders.gene_lists import WeightedGenes
from encoders.sentences import GeneSentence
from encoders.space import Calibration, Space, SpaceCard

#: What the card of such a space says of its recipe.
FAMILY = "given vectors"


def given_space(name: str, dim: int, *, revision: str = "1", licence: str = "not stated") -> Space:
    """A space for vectors that are given as they are; ask an index of it with vectors, items and slides.

    Parameters
    ----------
    name : str
        Of whatever made the vectors; indexes of another name or revision are refused.
    dim : int
        Length of a vector.
    revision, licence : str
        As the card is to have them.

    Raises
    ------
    EncoderError
        If the dimension is not above 0.
    """
    if dim < 1:
        raise EncoderError(f"Vectors of {dim} dimensions cannot be kept; expected at least 1.")
    card = SpaceCard(
        name=name,
        revision=revision,
        dim=dim,
        licence=licence,
        weights_sha256="",
        patch_side_um=1.0,
        patch_side_px=1,
        training_data="not stated: vectors made elsewhere",
        training_slides=(),
        training_patients=(),
        recipe={"family": FAMILY},
        calibration=Calibration(n_pairs=0, probabilities=(), quantiles={}),
    )
    return space_of_card(card)


def space_of_card(card: SpaceCard) -> Space:
    """The space of such a card, from the card alone."""
    return Space(card, _NoImages(card), _NoExpression(card))


class _NoEncoder:
    def __init__(self, card: SpaceCard, modality: Modality) -> None:
        self._card = card
        self._modality = modality

    @property
    def info(self) -> EncoderInfo:
        return self._card.encoder_info(self._modality)

    def _refuse(self) -> NoReturn:
        raise EncoderError(
            f"Space {self._card.name!r} holds vectors made elsewhere and cannot encode {self._modality}s. Ask with a "
            f"vector of {self._card.dim} numbers (VectorQuery), an item or a slide."
        )


class _NoImages(_NoEncoder):
    def __init__(self, card: SpaceCard) -> None:
        super().__init__(card, "image")

    @property
    def patch(self) -> PatchSpec:
        return PatchSpec(self._card.patch_side_um, self._card.patch_side_px)

    def stain_of(self, patches: Patches) -> Floats:
        self._refuse()

    def features(self, patches: Patches, *, stain: Floats | None = None) -> Floats:
        self._refuse()

    def project(self, features: Floats, *, centre: Floats | None = None) -> Vectors:
        self._refuse()

    def encode(self, patches: Patches, *, section: SectionStats | None = None) -> Vectors:
        self._refuse()


class _NoExpression(_NoEncoder):
    genes: tuple[str, ...] = ()
    query_genes: tuple[str, ...] = ()

    def __init__(self, card: SpaceCard) -> None:
        super().__init__(card, "expression")

    def encode_counts(
        self, counts: sp.csr_matrix, genes: Sequence[str], *, by_section: bool = False
    ) -> ExpressionEncoding:
        self._refuse()

    def encode_sentence(self, sentence: GeneSentence) -> ExpressionEncoding:
        self._refuse()

    def encode_list(self, genes: WeightedGenes) -> ExpressionEncoding:
        self._refuse()
