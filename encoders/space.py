"""A space: encoders whose unit vectors can be compared, with the card that says what it is and how good it is."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from encoders.contracts import EncoderInfo, ExpressionEncoder, ImageEncoder, Modality


class Calibration(BaseModel):
    """Null distribution of scores: quantiles of the cosine of pairs that do not belong together.

    `quantiles[key][i]` is the score at probability `probabilities[i]`; keys are `query->target` modalities,
    such as `image->expression`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_pairs: int
    probabilities: tuple[float, ...]
    quantiles: dict[str, tuple[float, ...]]


class QualityRow(BaseModel):
    """One measured figure of a space, beside its baselines and the gallery it was measured on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str
    direction: str
    test: str
    value: float
    random: float
    colour_baseline: float | None = None
    n_gallery: int


class SpaceCard(BaseModel):
    """What a space is: shown by `histoseek encoders`, stored in the card of every index that lives in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    revision: str
    dim: int
    licence: str
    weights_sha256: str
    patch_side_um: float
    patch_side_px: int
    training_data: str
    training_slides: tuple[str, ...]
    training_patients: tuple[str, ...]
    recipe: dict[str, str | int | float | bool]
    calibration: Calibration
    quality: tuple[QualityRow, ...] = ()

    def encoder_info(self, modality: Modality) -> EncoderInfo:
        """What the encoder of that modality declares; it has the revision and weights of the space."""
        return EncoderInfo(
            name=f"{self.name}-{modality}",
            revision=self.revision,
            modality=modality,
            dim=self.dim,
            licence=self.licence,
            weights_sha256=self.weights_sha256,
        )


@dataclass(frozen=True, slots=True)
class Space:
    """Aligned encoders under one card. The image encoder loads its backbone on first use."""

    card: SpaceCard
    image: ImageEncoder
    expression: ExpressionEncoder

    def info(self, modality: Modality) -> EncoderInfo:
        """What the encoder of that modality declares."""
        return self.image.info if modality == "image" else self.expression.info
