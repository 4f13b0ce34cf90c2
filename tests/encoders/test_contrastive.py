"""Training by contrast: it learns, it stops, it resumes to the same heads, and it refuses what it cannot do."""

from dataclasses import replace

import numpy as np
import pytest

from encoders.batches import balanced_batches, split
from encoders.checkpoints import Checkpoint, read_checkpoint
from encoders.contrastive import contrastive_loss
from encoders.errors import TrainingError
from encoders.recipe import Recipe
from encoders.training import align


@pytest.fixture
def recipe(small_recipe):
    return replace(small_recipe, loss="infonce", epochs=3, batch_size=32, n_null_pairs=200, gene_dropout=0.2)


def own_ranks(space, section):
    stain = space.image.stain_of(section.patches)
    features = space.image.features(section.patches, stain=stain)
    images = space.image.project(features, centre=features.mean(axis=0))
    scores = images @ space.expression.encode_counts(section.counts, section.genes, by_section=True).vectors.T
    return (scores >= np.diag(scores)[:, None]).sum(axis=1)


@pytest.mark.parametrize("loss", ["infonce", "bleep"])
def test_a_new_patient_is_retrieved(paired, recipe, backbone, make_section, loss):
    space = align(paired, recipe=replace(recipe, loss=loss), backbone=backbone)
    assert np.mean(own_ranks(space, make_section("S9", "P9")) <= 6) > 0.7  # chance is 0.1
    assert space.card.recipe["loss"] == loss


def test_training_moves_the_heads_and_repeats_itself(paired, recipe, backbone):
    free = replace(recipe, stop_on="none")
    first, again = (align(paired, recipe=free, backbone=backbone).image.weights for _ in range(2))
    closed = align(paired, recipe=replace(free, loss="cca"), backbone=backbone).image.weights
    assert first.to_bytes() == again.to_bytes()
    moved = np.abs(first.image_projection - closed.image_projection).max()
    assert moved > 0.01 * np.abs(closed.image_projection).max()


def test_an_interrupted_training_ends_like_a_whole_one(paired, recipe, backbone, tmp_path):
    free = replace(recipe, stop_on="none")
    path = tmp_path / "run.safetensors"

    class StoppedError(Exception):
        pass

    def stop(done, _total):
        if done == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        align(paired, recipe=free, backbone=backbone, checkpoint=path, on_epoch=stop)
    told = []
    resumed = align(paired, recipe=free, backbone=backbone, checkpoint=path, on_epoch=lambda *at: told.append(at))
    whole = align(paired, recipe=free, backbone=backbone)
    assert told == [(3, 3)]
    assert resumed.image.weights.to_bytes() == whole.image.weights.to_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]


def test_it_stops_when_the_held_out_section_gets_no_better(paired, recipe, backbone):
    told = []
    impatient = replace(recipe, epochs=50, patience=1, learning_rate=0.3)
    align(paired, recipe=impatient, backbone=backbone, on_epoch=lambda *at: told.append(at))
    assert 1 <= len(told) < 50


def test_checkpoints_of_other_trainings_are_refused(paired, recipe, backbone, tmp_path):
    path = tmp_path / "run.safetensors"
    align(paired, recipe=recipe, backbone=backbone, checkpoint=path)
    with pytest.raises(TrainingError, match="another recipe"):
        align(paired, recipe=replace(recipe, seed=1), backbone=backbone, checkpoint=path)
    with pytest.raises(TrainingError, match=r"another architecture: image_head is \(6, 3\), this run needs \(6, 2\)"):
        align(paired, recipe=replace(recipe, dim=2), backbone=backbone, checkpoint=path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(TrainingError, match="not a training checkpoint"):
        align(paired, recipe=recipe, backbone=backbone, checkpoint=path)


def test_a_failed_write_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    Checkpoint("a", 1, {"x": np.ones(2, dtype=np.float32)}).save(path)

    def full_disk(*_args):
        raise OSError("no space left")

    monkeypatch.setattr("pathlib.Path.replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        Checkpoint("a", 2, {"x": np.zeros(2, dtype=np.float32)}).save(path)
    assert read_checkpoint(path, run="a", shapes={"x": (2,)}).epochs == 1
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]


def test_early_stopping_needs_something_to_hold_out(paired, recipe, backbone):
    with pytest.raises(TrainingError, match="all 2 paired sections are of patient P1"):
        align(paired, recipe=replace(recipe, stop_on="patient"), backbone=backbone)
    with pytest.raises(TrainingError, match="there is 1 paired section"):
        align(paired[:1], recipe=recipe, backbone=backbone)


def test_a_loss_that_diverges_is_an_error(paired, recipe, backbone):
    with pytest.raises(TrainingError, match="lower the learning rate"):
        align(paired, recipe=replace(recipe, stop_on="none", epochs=9, learning_rate=1e25), backbone=backbone)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"loss": "triplet"}, "loss is 'triplet'; expected one of cca, infonce, bleep"),
        ({"stop_on": "spot"}, "stop_on is 'spot'"),
        ({"orientations": 9}, "orientations is 9"),
        ({"gene_dropout": 1.0}, "gene_dropout is 1.0"),
        ({"epochs": 0}, "epochs is 0"),
    ],
)
def test_choices_that_do_not_exist_are_refused(change, what):
    with pytest.raises(TrainingError, match=what):
        replace(Recipe(), **change).check()


def test_the_last_section_or_patient_is_held_out():
    assert split(["A", "B", "B"], "section") == ([0, 1], [2])
    assert split(["A", "B", "A"], "patient") == ([0, 2], [1])
    assert split(["A"], "none") == ([0], [])


def test_patients_then_sections_share_a_batch_equally():
    batches = list(balanced_batches([500, 40, 40], ["A", "B", "B"], 80, np.random.default_rng(0)))
    assert len(batches) == 7  # 580 spots
    for batch in batches:
        assert [(section, len(rows)) for section, rows in batch] == [(0, 40), (1, 20), (2, 20)]
        assert all(len(set(rows.tolist())) == len(rows) for _, rows in batch)


def test_losses_are_those_of_the_papers():
    import torch

    rng = np.random.default_rng(0)
    images, expression = (torch.nn.functional.normalize(torch.tensor(rng.normal(size=(4, 3))), dim=1) for _ in range(2))
    scale = torch.tensor(2.0)
    logits = scale * expression @ images.T
    clip = -(logits.log_softmax(1).diagonal().mean() + logits.log_softmax(0).diagonal().mean()) / 2
    torch.testing.assert_close(contrastive_loss(images, expression, scale, soft=False), clip)
    targets = (scale * (images @ images.T + expression @ expression.T) / 2).softmax(1)
    bleep = -((targets * logits.log_softmax(1)).sum(1).mean() + (targets * logits.T.log_softmax(1)).sum(1).mean()) / 2
    torch.testing.assert_close(contrastive_loss(images, expression, scale, soft=True), bleep)
