"""Training of the image tower itself: the loss falls, it resumes, workers change nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load
from safetensors.torch import save_file

from encoders.contracts import PatchSpec
from encoders.errors import TrainingError
from encoders.registry import open_space
from encoders.sections import FeatureSection, PairedSection
from encoders.torchvision_ops import ensure_torchvision_imports
from encoders.trainer.augmentation import jitter_stain, random_view, view_of
from encoders.trainer.feature_cache import FeatureCache
from encoders.trainer.image_towers import open_image_tower
from encoders.trainer.run import RunOptions, align_towers
from encoders.trainer.seen_sections import see, see_features
from encoders.trainer.tower_files import save_towers
from encoders.trainer.tower_recipe import TowerRecipe
from encoders.trainer.tunable_towers import check_tunable_name, open_tunable
from encoders.trainer.tuning import PatchViews, TrainableTower, TunedImages, check_tunable

ensure_torchvision_imports()
import timm  # noqa: E402 (after the shim that lets it import)

NAME = "timm/test_efficientnet"
NOTHING_KEPT = FeatureCache(None)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A tiny timm model with random weights, in a file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("tiny") / "model.safetensors"
    save_file(timm.create_model("test_efficientnet", pretrained=False).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def sections(make_section):
    """Small sections at the side the model takes."""

    def larger(section):
        patches = np.ascontiguousarray(np.kron(section.patches[:30], np.ones((1, 10, 10, 1), dtype=np.uint8)))
        return PairedSection(section.slide, section.patient, patches, section.counts[:30], section.genes)

    return [larger(make_section(slide, patient)) for slide, patient in (("S1", "P1"), ("S2", "P2"))]


@pytest.fixture
def recipe():
    return TowerRecipe(
        name="tuned",
        dim=3,
        loss="infonce",
        expression_encoder="mlp",
        hidden=8,
        n_genes=40,
        image_components=6,
        expression_components=6,
        orientations=4,
        stain_jitter=0.1,
        stop_on="none",
        epochs=2,
        batch_size=20,
        learning_rate=3e-3,
        tower_learning_rate=3e-3,
        fine_tune=True,
        n_ranks=30,
        n_null_pairs=200,
    )


def train(sections, weights, recipe, **how):
    tower = open_image_tower(NAME, weights=weights, side_um=80.0)
    seen = [see(section, tower, recipe, cache=NOTHING_KEPT) for section in sections]
    trainable = open_tunable(NAME, weights, device="cpu")
    return align_towers(seen, [], tower, recipe, trainable=trainable, options=RunOptions(**how))


def test_the_tower_learns_and_its_weights_are_written_and_read(sections, weights, recipe, tmp_path):
    space = train(sections, weights, recipe)
    saved = save_towers(space, tmp_path / "own", places={"image": weights})
    again = open_space(tmp_path / "own")
    assert again.card == saved.card
    assert again.card.recipe["fine_tune"] is True
    assert again.card.recipe["image_tower_sha256"] != again.card.recipe["image_tower_trained_from_sha256"]
    assert again.card.revision != space.card.revision  # the tower that decides the vectors is named by the revision
    patches = sections[0].patches[:4]
    before = open_image_tower(NAME, weights=weights, side_um=80.0).features(patches)
    tuned = space.image.tower.features(patches)
    assert np.abs(tuned - before).max() > 0.01
    np.testing.assert_allclose(again.image.tower.features(patches), tuned, atol=1e-3)


def test_the_loss_falls_and_an_interrupted_tuning_ends_like_a_whole_one(sections, weights, recipe, tmp_path):
    # The colours of the small world depend on how a patch lies, so they are learned as they lie.
    plain = {"expression_encoder": "profile", "gene_dropout": 0.0, "orientations": 1, "stain_jitter": 0.0}
    # Few components leave the closed form something to learn.
    recipe = replace(recipe, **plain, image_components=3, learning_rate=1e-3, tower_learning_rate=1e-4)

    class StoppedError(Exception):
        pass

    def stop(done, _total):
        if done == 1:
            raise StoppedError

    path = tmp_path / "run.safetensors"
    with pytest.raises(StoppedError):
        train(sections, weights, recipe, checkpoint=path, on_epoch=stop)
    resumed = train(sections, weights, recipe, checkpoint=path)
    whole_path = tmp_path / "whole.safetensors"
    whole = train(sections, weights, recipe, checkpoint=whole_path)
    assert resumed.image.weights.to_bytes() == whole.image.weights.to_bytes()
    states = [space.image.tower.trained.module.state_dict() for space in (resumed, whole)]
    assert all(torch.equal(a, b) for a, b in zip(*(state.values() for state in states), strict=True))
    falling = load(whole_path.read_bytes())["losses"]
    assert len(falling) == 2
    assert falling[1] < falling[0]
    with pytest.raises(TrainingError, match="another recipe"):
        train(sections, weights, replace(recipe, seed=3), checkpoint=path)


def test_workers_prepare_the_same_patches(sections, weights, recipe):
    tower = open_tunable(NAME, weights, device="cpu")
    plan = [[(0, np.array([3, 5])), (1, np.array([2]))], [(1, np.array([7, 0]))]]
    given = []
    for workers in (0, 2):
        images = TunedImages(tower, [s.patches for s in sections], np.ones(256), replace(recipe, workers=workers))
        images.begin(1)
        with torch.no_grad():
            given.append([x.numpy() for x in images.batches(plan, 1, np.random.default_rng(0))])
    for alone, shared in zip(*given, strict=True):
        np.testing.assert_array_equal(alone, shared)


def test_a_patch_is_seen_in_another_way_each_epoch_and_the_same_way_again(sections, recipe):
    views = [PatchViews([s.patches for s in sections], epoch, recipe) for epoch in range(6)]
    seen = [view[0, 4] for view in views]
    assert len({patch.tobytes() for patch in seen}) > 3
    np.testing.assert_array_equal(seen[2], PatchViews([s.patches for s in sections], 2, recipe)[0, 4])


class Reversing(torch.nn.Module):
    """Mean colour through one layer; notes the type it was computed in."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 5)
        self.kinds = set()

    def forward(self, images):
        found = self.layer(images.mean(dim=(2, 3)))
        self.kinds.add(found.dtype)
        return found


def test_bfloat16_is_used_inside_and_not_outside():
    module = Reversing()
    tower = TrainableTower(module, module, mean=(0.5,) * 3, std=(0.5,) * 3, device="cpu")
    patches = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    full, half = tower.features(patches), tower.features(patches, bf16=True)
    assert module.kinds == {torch.float32, torch.bfloat16}
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, full, atol=0.02)
    tower(torch.from_numpy(patches), bf16=True).square().mean().backward()
    assert module.layer.weight.grad.dtype == torch.float32
    assert torch.isfinite(module.layer.weight.grad).all()


def test_tuning_asks_for_a_device_and_for_pixels(sections, weights, recipe):
    with pytest.raises(TrainingError, match="give --device cuda"):
        check_tunable(None, workers=0)
    assert check_tunable("cpu", workers=2) == "cpu"
    for name in ("mini", "omiclip", "conch"):
        with pytest.raises(TrainingError, match="cannot be tuned here"):
            check_tunable_name(name)
    tower = open_image_tower(NAME, weights=weights, side_um=80.0)
    features = [
        FeatureSection(s.slide, s.patient, np.random.default_rng(0).normal(size=(30, 8)), "uni", s.counts, s.genes)
        for s in sections
    ]
    with pytest.raises(TrainingError, match="S1 has features but no patches"):
        align_towers(see_features(features), [], tower, recipe, trainable=open_tunable(NAME, weights, device="cpu"))
    with pytest.raises(TrainingError, match="belongs to a recipe with fine_tune"):
        align_towers(see_features(features), [], tower, recipe)


def test_stain_is_moved_a_little_and_nothing_else():
    rng = np.random.default_rng(0)
    patches = rng.integers(60, 240, (2, 12, 12, 3), dtype=np.uint8)
    np.testing.assert_array_equal(jitter_stain(patches, spread=0.0, rng=rng), patches)
    moved = jitter_stain(patches, spread=0.1, rng=rng)
    difference = np.abs(moved.astype(int) - patches)
    assert 0 < difference.mean() < 30
    tiny = jitter_stain(patches, spread=1e-6, rng=rng)
    assert np.abs(tiny.astype(int) - patches).max() <= 1  # there and back again
    np.testing.assert_array_equal(view_of(patches, 0, stain_jitter=0.2, seed=0), patches)
    turned = {random_view(patches[0], orientations=8, stain_jitter=0.0, rng=rng).tobytes() for _ in range(60)}
    assert len(turned) == 8
    assert PatchSpec(80.0, 12).side_px == 12
