"""Encoders of a space trained on towers, put together under their card."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from encoders.contracts import ExpressionEncoder, PatchSpec
from encoders.errors import SpaceMismatchError
from encoders.sentence_encoder import SentenceEncoder
from encoders.space import Space, SpaceCard
from encoders.trainer.image_towers import ImageTower
from encoders.trainer.tower_encoders import GeneTowerEncoder, SentenceTowerEncoder, TowerImageEncoder
from encoders.trainer.tower_recipe import Centring
from encoders.trainer.tower_weights import TowerWeights


@dataclass(frozen=True, slots=True)
class TowerSet:
    """How the towers of a space are opened, each on first use; `texts` is `None` where genes are read directly."""

    image: Callable[[], ImageTower]
    texts: Callable[[], SentenceEncoder] | None = None


def assemble_towers(card: SpaceCard, weights: TowerWeights, towers: TowerSet) -> Space:
    """Encoders under their card.

    Raises
    ------
    SpaceMismatchError
        If the card names no centring this version knows, or the weights lack what it says they have.
    """
    found = str(card.recipe.get("centring"))
    if found not in get_args(Centring):
        raise SpaceMismatchError(
            f"Space {card.name!r} is centred by {found!r}; this version knows {', '.join(get_args(Centring))}."
        )
    centring: Centring = "section" if found == "section" else "training"
    image = TowerImageEncoder(
        weights,
        info=card.encoder_info("image"),
        patch=PatchSpec(side_um=card.patch_side_um, side_px=card.patch_side_px),
        tower=towers.image,
        tower_name=str(card.recipe["image_tower"]),
        centring=centring,
    )
    return Space(card=card, image=image, expression=_expression(card, weights, towers, centring))


def _expression(card: SpaceCard, weights: TowerWeights, towers: TowerSet, centring: Centring) -> ExpressionEncoder:
    info = card.encoder_info("expression")
    if towers.texts is not None:
        return SentenceTowerEncoder(weights, towers.texts, info=info, centring=centring)
    if weights.rank_curve is None or weights.gene_directions is None:
        raise SpaceMismatchError(f"The weights of space {card.name!r} lack what reads genes; train the space again.")
    return GeneTowerEncoder(weights, weights.rank_curve, weights.gene_directions, info=info, centring=centring)
