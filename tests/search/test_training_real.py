"""On real sections: two of one patient in an index train a space that finds pairs of another patient."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from encoders.recipe import Recipe
from encoders.registry import open_space
from encoders.torchvision_ops import ensure_torchvision_imports
from indexer.building.build import build_index
from indexer.datasets.manifest import load_manifest
from indexer.progress import Silent
from indexer.sources import open_sources
from search.training.request import TrainRequest, train_requested

ensure_torchvision_imports()
import timm  # noqa: E402 (after the shim that lets it import)

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def db(mirror, planted, tmp_path_factory):
    """Index of C2, C6 and B4; in a space of mean colours, which is quick, since only pictures and counts are read."""
    folder = tmp_path_factory.mktemp("her2st") / "index"
    sources = open_sources("her2st", manifest=load_manifest(), slides=["C2", "C6", "B4"])
    report = build_index(folder, sources, planted.planted_space(), tile_stride_um=2_000.0, thumbnails=False)
    assert not report.failed
    return folder


def rows_of(space):
    return {(row.metric, row.direction): row for row in space.card.quality}


def test_the_default_backbone_finds_pairs_of_a_new_patient(db, tmp_path):
    towers = {"orientations": 1, "n_null_pairs": 500}
    wanted = TrainRequest(
        recipe=Recipe(name="real"),
        db=str(db),
        slides=["C6", "B4"],
        held_out=("B",),
        towers=towers,
        choice={"image_encoder": "mini"},
    )
    space = train_requested(wanted, tmp_path / "own", progress=Silent())
    assert space.card.training_patients == ("C",)
    rows = rows_of(space)
    both = [rows["R@10%", f"{a}->{b}"] for a, b in (("image", "expression"), ("expression", "image"))]
    assert {row.n_gallery for row in both} == {283}
    assert np.mean([row.value for row in both]) > 0.2  # chance is 0.1, colour 0.19


def test_a_tiny_tower_of_random_weights_trains_by_contrast_and_opens_again(db, tmp_path):
    torch.manual_seed(0)
    weights = tmp_path / "model.safetensors"
    save_file(timm.create_model("test_vit", pretrained=False).state_dict(), weights)
    wanted = TrainRequest(
        recipe=Recipe(name="tiny", loss="infonce", epochs=2, dim=8),
        db=str(db),
        held_out=("B",),
        towers={"orientations": 1, "n_null_pairs": 500, "expression_encoder": "mlp", "image_components": 16},
        choice={"image_encoder": "timm/test_vit", "image_weights": weights, "side_um": 154.1},
    )
    space = train_requested(wanted, tmp_path / "own", progress=Silent())
    assert rows_of(space)["median rank / N", "image->expression"].value < 0.5
    again = open_space(tmp_path / "own")
    patches = np.random.default_rng(0).integers(0, 256, (2, 160, 160, 3), dtype=np.uint8)
    np.testing.assert_allclose(again.image.encode(patches), space.image.encode(patches), atol=1e-5)
