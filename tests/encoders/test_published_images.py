"""Published image encoders: what the catalogue declares, and timm and open_clip models with weights from a file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from encoders.catalogue import CATALOGUE, known_encoder
from encoders.contracts import PatchSpec, SectionStats
from encoders.errors import (
    CheckpointError,
    EncoderError,
    PackageMissingError,
    PatchError,
    SpaceMismatchError,
    UnknownEncoderError,
    WeightsMissingError,
)
from encoders.open_clip_models import import_open_clip, open_clip_encoder, open_clip_facts
from encoders.timm_models import _build, timm_encoder, timm_facts
from encoders.torchvision_ops import ensure_torchvision_imports

ensure_torchvision_imports()
import timm  # noqa: E402 (torchvision first)

DATA = Path(__file__).parent / "data"
TINY_CLIP = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    return timm.create_model("test_vit", pretrained=False, num_classes=10).eval()


@pytest.fixture(scope="module")
def vit_file(vit, tmp_path_factory):
    path = tmp_path_factory.mktemp("vit") / "model.safetensors"
    save_file(vit.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def vit_facts():
    return timm_facts("test_vit", side_um=80.0)


@pytest.fixture(scope="module")
def patches(vit_facts):
    side = vit_facts.side_px
    return np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory):
    """Name and weights file of a tiny open_clip model."""
    open_clip = import_open_clip()
    folder = tmp_path_factory.mktemp("clip")
    (folder / "tiny-test-clip.json").write_text(json.dumps(TINY_CLIP))
    open_clip.add_model_config(folder / "tiny-test-clip.json")
    torch.manual_seed(0)
    model = open_clip.create_model("tiny-test-clip", load_weights=False).eval()
    torch.save({"epoch": 1, "state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, folder / "w.pt")
    return model, folder / "w.pt"


@pytest.mark.parametrize("facts", [row for row in CATALOGUE.values() if row.family == "timm"], ids=lambda f: f.name)
def test_rows_of_timm_build_with_the_dimensions_they_declare(facts):
    with torch.device("meta"):
        model = _build(facts)
    assert model.num_features * (1 if facts.n_prefix_tokens is None else 2) == facts.dim


@pytest.mark.parametrize(
    "facts", [row for row in CATALOGUE.values() if row.family == "open_clip"], ids=lambda f: f.name
)
def test_rows_of_open_clip_declare_what_the_package_does(facts):
    declared = open_clip_facts(facts.architecture)
    assert (declared.dim, declared.side_px, declared.mean, declared.std) == (
        facts.dim,
        facts.side_px,
        facts.mean,
        facts.std,
    )


def test_an_unknown_encoder_lists_the_known():
    with pytest.raises(UnknownEncoderError, match=r"uni2-h.*omiclip"):
        known_encoder("uni3")


def test_patches_of_another_scale_or_size_are_refused_by_name():
    uni = known_encoder("uni")
    assert uni.patch() == PatchSpec(side_um=128.0, side_px=224)
    with pytest.raises(PatchError, match=r"'uni'.*128 um"):
        uni.patch(side_um=256.0)
    with pytest.raises(PatchError, match=r"'uni'.*224 px, not 256"):
        uni.check_patch(PatchSpec(side_um=128.0, side_px=256))
    uni.check_patch(PatchSpec(side_um=129.0, side_px=224))


def test_an_encoder_without_a_scale_asks_for_one():
    resnet = known_encoder("resnet-50")
    assert resnet.mpp is None
    with pytest.raises(PatchError, match="states no scale"):
        resnet.patch()
    with pytest.raises(PatchError, match="above 0"):
        resnet.patch(side_um=-1.0)
    assert resnet.patch(side_um=112.0).mpp == 0.5


def test_vectors_of_another_length_are_refused_by_name():
    with pytest.raises(SpaceMismatchError, match=r"1024 .*'uni2-h'.*1536"):
        known_encoder("uni2-h").check_dim(1024)


def test_a_timm_model_gives_the_features_of_timm(vit, vit_file, vit_facts, patches):
    encoder = timm_encoder(vit_facts, vit_file)
    mean, std = (torch.tensor(vit.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        images = (torch.from_numpy(patches).permute(0, 3, 1, 2) / 255 - mean) / std
        expected = vit.forward_head(vit.forward_features(images), pre_logits=True).numpy()
    np.testing.assert_allclose(encoder.features(patches), expected, atol=1e-5)
    vectors = encoder.encode(patches)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert encoder.encode(patches[:0]).shape == (0, vit_facts.dim)
    assert encoder.info.weights_sha256.startswith(encoder.info.revision)


def test_the_frame_of_a_section_changes_nothing(vit_file, vit_facts, patches):
    encoder = timm_encoder(vit_facts, vit_file)
    section = SectionStats(stain=encoder.stain_of(patches), centre=np.ones(vit_facts.dim, dtype=np.float32))
    np.testing.assert_array_equal(encoder.encode(patches, section=section), encoder.encode(patches))


def test_class_token_and_mean_of_the_others_are_joined(vit, vit_file, vit_facts, patches):
    facts = replace(vit_facts, dim=2 * vit_facts.dim, options={"global_pool": "", "fc_norm": False}, n_prefix_tokens=1)
    path = vit_file.with_name("tokens.pt")
    bare = _build(facts)
    torch.save({"model": bare.state_dict()}, path)
    bare.eval()
    found = timm_encoder(facts, path).features(patches)
    mean, std = (torch.tensor(vit.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        tokens = bare((torch.from_numpy(patches).permute(0, 3, 1, 2) / 255 - mean) / std).numpy()
    np.testing.assert_allclose(found, np.hstack([tokens[:, 0], tokens[:, 1:].mean(axis=1)]), atol=1e-5)


def test_another_dimension_than_declared_is_refused_by_name(vit_file, vit_facts, patches):
    with pytest.raises(SpaceMismatchError, match=r"timm/test_vit.*7"):
        timm_encoder(replace(vit_facts, dim=7), vit_file).features(patches)
    with pytest.raises(SpaceMismatchError, match="test_vit"):
        timm_encoder(vit_facts, vit_file).project(np.zeros((2, 7), dtype=np.float32))


@pytest.mark.parametrize("spoil", [lambda p: p[:, :-2], lambda p: p.astype(np.float32), lambda p: p[0]])
def test_patches_of_another_shape_are_refused(vit_file, vit_facts, patches, spoil):
    with pytest.raises(PatchError, match="uint8"):
        timm_encoder(vit_facts, vit_file).encode(spoil(patches))


def test_weights_of_another_model_are_refused(tmp_path, vit_facts, patches):
    path = tmp_path / "resnet.safetensors"
    save_file(timm.create_model("test_resnet", pretrained=False, num_classes=0).state_dict(), path)
    with pytest.raises(CheckpointError, match=r"not a checkpoint of timm/test_vit.*missing.*unknown"):
        timm_encoder(vit_facts, path).encode(patches)


def test_missing_weights_say_where_they_come_from(tmp_path):
    with pytest.raises(WeightsMissingError, match=r"uni .CC-BY-NC-ND-4\.0. come from huggingface"):
        timm_encoder(known_encoder("uni"), tmp_path / "model.safetensors")


def test_a_model_timm_does_not_have_is_named():
    with pytest.raises(UnknownEncoderError, match="resnet_of_mine"):
        timm_facts("resnet_of_mine")


def test_an_open_clip_model_gives_the_features_of_open_clip(tiny_clip):
    model, path = tiny_clip
    facts = open_clip_facts("tiny-test-clip", side_um=16.0)
    patches = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (facts.mean, facts.std))
    with torch.inference_mode():
        expected = model.encode_image((torch.from_numpy(patches).permute(0, 3, 1, 2) / 255 - mean) / std).numpy()
    np.testing.assert_allclose(open_clip_encoder(facts, path).features(patches), expected, atol=1e-5)


def test_a_model_in_the_layout_of_transformers_gives_the_features_of_transformers(tmp_path):
    """The frozen file holds a tiny CLIPModel of transformers 5.23, patches, and what its image side made of them."""
    open_clip = import_open_clip()
    with np.load(DATA / "clip_of_transformers.npz") as frozen:
        tensors = {name.removeprefix("tensor:"): frozen[name] for name in frozen.files if name.startswith("tensor:")}
        patches, expected = frozen["patches"], frozen["features"]
    torch.save({name: torch.from_numpy(values) for name, values in tensors.items()}, tmp_path / "pytorch_model.bin")
    vision = {"image_size": 16, "layers": 2, "width": 16, "patch_size": 8, "head_width": 8}
    config = {**TINY_CLIP, "embed_dim": 12, "quick_gelu": True, "vision_cfg": vision}
    (tmp_path / "tiny-quick-clip.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "tiny-quick-clip.json")
    facts = open_clip_facts("tiny-quick-clip", side_um=8.0)
    np.testing.assert_allclose(
        open_clip_encoder(facts, tmp_path / "pytorch_model.bin").features(patches), expected, atol=1e-5
    )
    del tensors["vision_model.encoder.layers.1.self_attn.k_proj.bias"]
    torch.save({name: torch.from_numpy(values) for name, values in tensors.items()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(
        CheckpointError, match=r"1 missing .first visual\.transformer\.resblocks\.1\.attn\.in_proj_bias"
    ):
        open_clip_encoder(facts, tmp_path / "pytorch_model.bin").features(patches)


def test_an_open_clip_model_without_its_package_names_the_extra(tiny_clip, monkeypatch):
    facts = open_clip_facts("tiny-test-clip", side_um=16.0)
    encoder = open_clip_encoder(facts, tiny_clip[1])
    monkeypatch.setattr("encoders.open_clip_models.PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(PackageMissingError, match=r"\.\[clip\]"):
        encoder.encode(np.zeros((1, 32, 32, 3), dtype=np.uint8))


def test_an_open_clip_model_it_does_not_have_is_named():
    with pytest.raises(UnknownEncoderError, match="coca_of_mine"):
        open_clip_facts("coca_of_mine")


def test_a_gpu_that_is_not_there_is_named(vit_file, vit_facts, patches, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EncoderError, match="cuda"):
        timm_encoder(vit_facts, vit_file, device="cuda").encode(patches)
