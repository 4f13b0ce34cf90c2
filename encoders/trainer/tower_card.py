"""The card of a space trained on towers: which towers, with what digests and licences, and what it was trained on."""

import hashlib
import json
from collections.abc import Sequence

from encoders.sections import ExpressionSection
from encoders.sentence_encoder import SentenceEncoder
from encoders.space import Calibration, SpaceCard
from encoders.trainer.image_towers import FeaturesElsewhere, ImageTower
from encoders.trainer.seen_sections import SeenSection
from encoders.trainer.tower_recipe import TowerRecipe
from encoders.trainer.tower_weights import TowerWeights

FAMILY = "towers"


def draft_card(
    sections: Sequence[SeenSection],
    extra: Sequence[ExpressionSection],
    recipe: TowerRecipe,
    tower: ImageTower,
    texts: SentenceEncoder | None,
    weights: TowerWeights,
    *,
    tuned: bool,
) -> SpaceCard:
    """The card without its calibration; of a tuned tower the digest is written when its weights are (`tuned_card`)."""
    digest = weights.sha256()
    elsewhere = isinstance(tower, FeaturesElsewhere)
    towers: dict[str, str | int | float | bool] = {
        "family": FAMILY,
        "image_tower": tower.name,
        "image_tower_sha256": tower.weights_sha256,
        "image_tower_licence": tower.licence,
        "image_tower_dim": tower.feature_dim,
        "image_features_elsewhere": elsewhere,
        "normalise_stain": weights.stain_target is not None,
    }
    if texts is not None:
        towers |= {
            "text_tower_sha256": texts.info.weights_sha256,
            "text_tower_licence": texts.info.licence,
            "sentence_recipe": texts.recipe.name,
        }
    settings = recipe.settings()
    if texts is None:
        settings.pop("sentence_recipe")
    return SpaceCard(
        name=recipe.name,
        revision=_revision(recipe.version, digest, tower.weights_sha256, texts),
        dim=recipe.dim,
        licence=recipe.licence,
        weights_sha256=digest,
        patch_side_um=tower.patch.side_um,
        patch_side_px=tower.patch.side_px,
        training_data=recipe.training_data,
        training_slides=(*(s.slide for s in sections), *(s.slide for s in extra)),
        training_patients=tuple(sorted({s.patient for s in sections} | {s.patient for s in extra})),
        recipe={
            **settings,
            **towers,
            "fine_tune": tuned,
            "validate_patients": " ".join(recipe.validate_patients),
            "paired_slides": " ".join(s.slide for s in sections),
            "paired_spots": sum(s.counts.shape[0] for s in sections),
            "expression_only_spots": sum(s.counts.shape[0] for s in extra),
        },
        calibration=Calibration(n_pairs=0, probabilities=(), quantiles={}),
    )


def tuned_card(card: SpaceCard, tower_sha256: str) -> SpaceCard:
    """The card of a tuned tower, once the digest of its own weights is known."""
    before = str(card.recipe["image_tower_sha256"])
    recipe = {**card.recipe, "image_tower_sha256": tower_sha256, "image_tower_trained_from_sha256": before}
    version = card.revision.rsplit("-", maxsplit=1)[0]
    return card.model_copy(
        update={"recipe": recipe, "revision": _revision(version, card.weights_sha256, tower_sha256, None)}
    )


def _revision(version: str, weights: str, tower: str, texts: SentenceEncoder | None) -> str:
    """Names all that decides a vector: heads, towers and, where sentences are read, who reads them."""
    parts = [weights, tower]
    if texts is not None:
        parts += [texts.info.weights_sha256, texts.recipe.name]
    return f"{version}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]}"
