"""The default backbone: torchvision's network up to its middle, seen at three scales."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

import encoders
from encoders import mobilenet
from encoders.errors import WeightsMissingError
from encoders.mobilenet import N_BLOCKS, WEIGHTS, MobileNetTexture
from encoders.torchvision_ops import ensure_torchvision_imports

SIDE = 112
SCALES = ("whole", "middle", "core")


@pytest.fixture(scope="module")
def backbone():
    return MobileNetTexture()


@pytest.fixture(scope="module")
def patches():
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.integers(0, 256, size=(2, 14, 14, 3)), np.ones((1, 8, 8, 1)))
    return np.clip(coarse + rng.normal(scale=20, size=(2, SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


def _by_scale(features):
    return dict(zip(SCALES, np.split(features, len(SCALES), axis=1), strict=True))


def test_features_are_those_of_torchvisions_network(backbone, patches, monkeypatch, tmp_path):
    """A network of torchvision with random weights, folded by the script, gives the same moments."""
    ensure_torchvision_imports()
    from torchvision.models import mobilenet_v2

    torch.manual_seed(0)
    network = mobilenet_v2(weights=None).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    path = tmp_path / "weights.safetensors"
    _save(_script().folded(network.state_dict()), path, monkeypatch)
    found = _by_scale(MobileNetTexture().features(patches))["middle"]
    middle = torch.from_numpy(patches[:, SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4])
    mean, sd = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    maps = (middle.permute(0, 3, 1, 2) / 255 - mean) / sd
    expected = []
    with torch.inference_mode():
        for number, layer in enumerate(network.features[: N_BLOCKS + 1]):
            maps = layer(maps)
            if number in (6, 10, 13):
                expected += [maps.mean((2, 3)), maps.std((2, 3))]
    np.testing.assert_allclose(found, torch.cat(expected, dim=1).numpy(), rtol=1e-3, atol=1e-5)


def test_each_scale_sees_its_part_of_the_patch(backbone, patches):
    first, changed = patches[:1], patches[:1].copy()
    changed[:, :4] = 0  # the rim belongs to the whole patch alone
    before, after = _by_scale(backbone.features(first)), _by_scale(backbone.features(changed))
    assert not np.allclose(before["whole"], after["whole"])
    np.testing.assert_array_equal(before["middle"], after["middle"])
    np.testing.assert_array_equal(before["core"], after["core"])
    changed[:, SIDE // 4 : SIDE // 4 + 4] = 0  # the rim of its middle is not of its core
    after = _by_scale(backbone.features(changed))
    assert not np.allclose(before["middle"], after["middle"])
    np.testing.assert_array_equal(before["core"], after["core"])


def test_features_have_the_length_they_state(backbone, patches):
    features = backbone.features(patches)
    assert features.shape == (2, MobileNetTexture.feature_dim)
    assert np.isfinite(features).all()
    assert backbone.features(patches[:0]).shape == (0, MobileNetTexture.feature_dim)


def test_damaged_weights_are_named(monkeypatch, tmp_path):
    path = tmp_path / "mobilenetv2.safetensors"
    path.write_bytes(WEIGHTS.read_bytes()[:-1])
    monkeypatch.setattr(mobilenet, "WEIGHTS", path)
    monkeypatch.setenv("HISTOSEEK_CACHE_DIR", str(tmp_path))  # no converted model is kept there
    with pytest.raises(WeightsMissingError, match="SHA-256"):
        MobileNetTexture().features(np.zeros((1, SIDE, SIDE, 3), dtype=np.uint8))


def test_the_weights_carry_their_licence():
    text = WEIGHTS.with_suffix(".LICENSE").read_text(encoding="utf-8")
    assert "BSD 3-Clause" in text
    assert WEIGHTS.name in text


def _script():
    path = Path(encoders.__file__).parents[1] / "docs" / "mobilenet.py"
    spec = importlib.util.spec_from_file_location("mobilenet_script", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _save(tensors, path, monkeypatch):
    import hashlib

    from safetensors.torch import save_file

    save_file(tensors, path)
    monkeypatch.setattr(mobilenet, "WEIGHTS", path)
    monkeypatch.setattr(MobileNetTexture, "weights_sha256", hashlib.sha256(path.read_bytes()).hexdigest())
