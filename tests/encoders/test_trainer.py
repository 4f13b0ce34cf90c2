"""The trainer on towers: it learns, its spaces open again, and it refuses what cannot be aligned."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from encoders.contracts import PatchSpec, SectionStats
from encoders.errors import EncoderError, GeneQueryError, PatchError, SpaceMismatchError, TrainingError
from encoders.gene_lists import WeightedGenes
from encoders.registry import open_space
from encoders.sections import FeatureSection
from encoders.sentences import GeneSentence
from encoders.trainer.feature_cache import FeatureCache
from encoders.trainer.heads import Head, folded, hidden_start, place_in_training
from encoders.trainer.image_towers import FeaturesElsewhere
from encoders.trainer.run import RunOptions, align_towers
from encoders.trainer.seen_sections import see, see_features
from encoders.trainer.tower_files import save_towers
from encoders.trainer.tower_recipe import TowerRecipe

NOTHING_KEPT = FeatureCache(None)


class BlockTower:
    """The backbone of the small world as a tower; counts how often it is asked."""

    name, licence, weights_sha256, feature_dim = "block means", "CC0", "none", 48
    patch = PatchSpec(side_um=10.0, side_px=16)

    def __init__(self, backbone):
        self._backbone, self.calls = backbone, 0

    def features(self, patches):
        self.calls += 1
        return self._backbone.features(patches)


@pytest.fixture
def tower(backbone):
    return BlockTower(backbone)


@pytest.fixture
def recipe():
    return TowerRecipe(
        name="own",
        dim=3,
        n_genes=40,
        image_components=6,
        expression_components=6,
        hidden=8,
        orientations=1,  # the colours of its blocks depend on how a patch lies
        epochs=3,
        batch_size=32,
        gene_dropout=0.2,
        n_ranks=30,
        n_null_pairs=500,
    )


@pytest.fixture
def aligned(paired, extra, tower):
    def align(recipe, *, sections=None, **how):
        seen = [see(section, tower, recipe, cache=NOTHING_KEPT) for section in sections or paired]
        return align_towers(seen, extra, tower, recipe, **how)

    return align


def ranks_of(space, section):
    stain = space.image.stain_of(section.patches)
    features = space.image.features(section.patches, stain=stain)
    images = space.image.project(features, centre=features.mean(axis=0))
    found = space.expression.encode_counts(section.counts, section.genes, by_section=True).vectors
    scores = images @ found.T
    return (scores >= np.diag(scores)[:, None]).sum(axis=1)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"centring": "training"},
        {"loss": "infonce"},
        {"loss": "bleep", "head": "mlp"},
        {"loss": "infonce", "expression_encoder": "mlp", "head": "mlp"},
    ],
)
def test_a_new_patient_is_retrieved_and_the_space_opens_again(
    aligned, recipe, make_section, tmp_path, change, backbone
):
    space = aligned(replace(recipe, **change))
    new = make_section("S9", "P9")
    assert np.mean(ranks_of(space, new) <= 6) > 0.6  # chance is 0.1
    save_towers(space, tmp_path / "own")
    again = open_space(tmp_path / "own")
    assert again.card == space.card
    features = space.image.features(new.patches)
    np.testing.assert_array_equal(again.image.project(features), space.image.project(features))
    for by_section in (True, False):
        before, after = (
            s.expression.encode_counts(new.counts, new.genes, by_section=by_section) for s in (space, again)
        )
        np.testing.assert_array_equal(before.vectors, after.vectors)
    with pytest.raises(EncoderError, match="block means"):
        again.image.features(new.patches)  # no such encoder is on this machine


def test_the_card_names_towers_patients_and_settings(aligned, recipe):
    card = aligned(recipe).card
    assert card.training_patients == ("P1", "P2")
    assert card.recipe["image_tower"] == "block means"
    assert card.recipe["image_tower_licence"] == "CC0"
    assert card.recipe["paired_slides"] == "S1 S2"
    assert card.recipe["centring"] == "section"
    assert card.recipe["null image->expression"] == "different patients"
    assert card.calibration.n_pairs == 500
    assert {"image->expression", "genes->image", "sentence->image"} <= set(card.calibration.quantiles)
