"""Training on towers from slides in memory: tuned towers and text towers end as spaces that are measured and open."""

import json

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from safetensors.torch import save_file

from encoders.open_clip_models import import_open_clip
from encoders.recipe import Recipe
from encoders.registry import open_space
from encoders.sections import ExpressionSection, PairedSection
from encoders.torchvision_ops import ensure_torchvision_imports
from encoders.trainer.tower_files import TOWER, save_towers
from encoders.trainer.tower_recipe import TowerRecipe
from indexer.progress import Silent
from search.training.request import TrainRequest, train_requested
from search.training.slides import TrainingSlide
from search.training.towers import TowerChoice, train_towers

ensure_torchvision_imports()
import timm  # noqa: E402 (after the shim that lets it import)

N_SPOTS, SIDE_PX = 16, 160
GENES = tuple(f"{a}{b}" for a in "ABCDE" for b in "VWXYZ")
RECIPE = {
    "dim": 2,
    "n_genes": 20,
    "image_components": 4,
    "expression_components": 4,
    "orientations": 1,
    "n_null_pairs": 200,
}
TEXT_CLIP = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 40, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def slide(name, patient, *, has_image=True):
    """Spots whose colour and genes follow one hidden trait."""
    rng = np.random.default_rng(sum(map(ord, name)))
    trait = rng.normal(size=(N_SPOTS, 1))
    colours = 130 + 40 * trait * np.array([[1.0, -0.5, 0.3]]) + rng.normal(scale=4, size=(N_SPOTS, 3))
    patches = np.clip(np.broadcast_to(colours[:, None, None], (N_SPOTS, SIDE_PX, SIDE_PX, 3)), 0, 255).astype(np.uint8)
    loadings = np.random.default_rng(1).normal(size=(1, len(GENES)))
    counts = sp.csr_matrix(rng.poisson(np.exp(1.5 + 0.6 * trait @ loadings)).astype(np.float32))
    return TrainingSlide(
        slide=name,
        patient=patient,
        cohort="small",
        licence="CC0",
        citation="none",
        has_image=has_image,
        read_pairs=lambda _patch: PairedSection(name, patient, patches, counts, GENES),
        read_counts=lambda: ExpressionSection(name, patient, counts, GENES),
    )


@pytest.fixture
def slides():
    return [slide("S1", "A"), slide("S2", "B"), slide("S3", "C"), slide("S4", "D", has_image=False)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A tiny timm model with random weights, in a file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("tiny") / "model.safetensors"
    save_file(timm.create_model("test_vit", pretrained=False).state_dict(), path)
    return path


def test_a_tower_is_tuned_measured_and_opened(slides, weights, tmp_path, monkeypatch):
    monkeypatch.setattr("search.training.request.slides_of_index", lambda *_: slides)
    monkeypatch.setattr("search.training.request.Index.open", lambda _db: None)
    towers = {key: value for key, value in RECIPE.items() if key != "dim"}
    wanted = TrainRequest(
        recipe=Recipe(name="tuned", loss="infonce", epochs=1, dim=2, stop_on="none"),
        db="somewhere",
        held_out=("C",),
        towers={**towers, "fine_tune": True, "batch_size": 16, "stain_jitter": 0.05},
        choice={"image_encoder": "timm/test_vit", "image_weights": weights, "side_um": 80.0},
        device="cpu",
    )
    space = train_requested(wanted, tmp_path / "own", progress=Silent())
    assert (tmp_path / "own" / TOWER).is_file()
    assert not (tmp_path / "own.checkpoint.safetensors").exists()
    assert space.card.recipe["bf16"] is False  # the default on a CPU
    assert {row.test for row in space.card.quality} == {"section S3, patient C held out"}
    assert all(row.colour_baseline is not None for row in space.card.quality)
    patches = slides[2].read_pairs(None).patches
    weights.rename(tmp_path / "elsewhere")  # the tuned tower is the space's own
    try:
        assert open_space(tmp_path / "own").image.encode(patches).shape == (N_SPOTS, 2)
    finally:
        (tmp_path / "elsewhere").rename(weights)


def test_sentences_by_normalised_ranks_take_their_divisors_from_the_training(slides, weights, tmp_path):
    open_clip = import_open_clip()
    (tmp_path / "tiny-ranks-clip.json").write_text(json.dumps(TEXT_CLIP))
    open_clip.add_model_config(tmp_path / "tiny-ranks-clip.json")
    torch.manual_seed(0)
    torch.save(open_clip.create_model("tiny-ranks-clip", load_weights=False).state_dict(), tmp_path / "w.pt")
    choice = TowerChoice("timm/test_vit", weights, tmp_path / "w.pt", 80.0, housekeeping=frozenset({"AV"}))
    recipe = TowerRecipe(
        **RECIPE, expression_encoder="open_clip/tiny-ranks-clip", sentence_recipe="normalised-rank", name="texts"
    )
    space = train_towers(slides, held_out={"C"}, recipe=recipe, choice=choice)
    save_towers(space, tmp_path / "own", places=choice.places())
    again = open_space(tmp_path / "own")
    assert again.card.training_patients == ("A", "B", "D")
    assert again.expression.sentences.recipe.name == "normalised-rank"
    assert set(again.expression.sentences.recipe.gene_norms) <= set(GENES)
    assert not again.expression.sentences.recipe.keeps("AV")
    assert len(again.card.quality) == 8
