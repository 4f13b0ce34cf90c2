"""The runtime of image models: what PyTorch gives, the same to the last bit in any batch, and nothing sent home."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from encoders import inference
from encoders.errors import EncoderError
from encoders.inference import PatchModel
from encoders.mobilenet import MobileNetTexture
from encoders.openvino_graph import has_openvino
from encoders.registry import open_space

needs_openvino = pytest.mark.skipif(not has_openvino(), reason="openvino is not installed (extra `cpu`)")


def tissue(n, side, seed=0):
    """Soft blobs of purple on pink: smooth, as tiles are."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, size=(n, side // 8, side // 8, 1))
    blobs = np.kron(coarse, np.ones((1, 8, 8, 1))) / 255
    colour = np.array([225, 150, 190]) - blobs * np.array([120, 90, 40])
    return np.clip(colour + rng.normal(scale=6, size=(n, side, side, 3)), 0, 255).astype(np.uint8)


def brightness(pixels):
    return pixels.float().mean((1, 2))


def patch_model(forward=brightness, device="cpu"):
    return PatchModel(lambda: forward, name="brightness", dim=3, device=device)


@pytest.fixture
def without_openvino(monkeypatch):
    monkeypatch.setattr(inference, "has_openvino", lambda: False)


@needs_openvino
def test_the_runtime_is_openvino_on_a_cpu_and_says_so(caplog):
    model = patch_model()
    assert model.runtime == ""
    patches = tissue(3, 16)
    with caplog.at_level("INFO"):
        np.testing.assert_allclose(model(patches), patches.mean(axis=(1, 2)), rtol=1e-5)
    assert model.runtime.startswith("OpenVINO ")
    assert model.runtime in caplog.text


def test_without_openvino_pytorch_runs_and_says_what_would_be_faster(without_openvino, caplog):
    model, patches = patch_model(), tissue(40, 16)
    with caplog.at_level("INFO"):
        np.testing.assert_allclose(model(patches), patches.mean(axis=(1, 2)), rtol=1e-5)
    assert model.runtime.startswith("PyTorch ")
    assert "pip install" in caplog.text


@needs_openvino
def test_a_model_that_cannot_be_converted_is_run_by_pytorch_with_a_warning(caplog):
    def through_numpy(pixels):
        if torch.jit.is_tracing():
            raise RuntimeError("an operation without a counterpart")
        return brightness(pixels)

    model, patches = patch_model(through_numpy), tissue(2, 16)
    np.testing.assert_allclose(model(patches), patches.mean(axis=(1, 2)), rtol=1e-5)
    assert model.runtime.startswith("PyTorch ")
    assert "OpenVINO cannot run brightness" in caplog.text


@needs_openvino
def test_a_converted_model_that_gives_something_else_is_not_used(caplog):
    def another_when_traced(pixels):
        return brightness(pixels) * (1.01 if torch.jit.is_tracing() else 1.0)

    model, patches = patch_model(another_when_traced), tissue(2, 16)
    np.testing.assert_allclose(model(patches), patches.mean(axis=(1, 2)), rtol=1e-5)
    assert "gives other features" in caplog.text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said():
    with pytest.raises(EncoderError, match="torch sees no GPU"):
        patch_model(device="cuda")(tissue(1, 16))


def test_no_patches_give_no_rows():
    assert patch_model()(tissue(0, 16)).shape == (0, 3)


@needs_openvino
def test_rows_are_the_same_to_the_last_bit_whatever_the_batch_and_the_threads():
    patches = tissue(9, 112)
    backbone = MobileNetTexture()
    together = backbone.features(patches)
    apart = np.concatenate(
        [backbone.features(patches[:1]), backbone.features(patches[1:6]), backbone.features(patches[6:])]
    )
    np.testing.assert_array_equal(together, apart)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        np.testing.assert_array_equal(MobileNetTexture().features(patches), together)
    finally:
        torch.set_num_threads(n_threads)


@needs_openvino
def test_vectors_of_the_default_space_are_those_of_pytorch(monkeypatch):
    patches = tissue(3, 448)
    fast = open_space("mini").image
    vectors = fast.encode(patches)
    assert fast.backbone.runtime.startswith("OpenVINO")
    monkeypatch.setattr(inference, "has_openvino", lambda: False)
    slow = open_space("mini").image
    assert (vectors * slow.encode(patches)).sum(axis=1).min() > 0.99999
    assert slow.backbone.runtime.startswith("PyTorch")


def test_bfloat16_as_on_a_gpu_gives_vectors_like_float32():
    """On the CPU's twin of the arithmetic, as most machines that run this have no GPU."""
    image, patches = open_space("mini").image, tissue(6, 224)
    forward = image.backbone._load()
    whole = inference.TorchRuntime(forward, "cpu").run(patches)
    half = inference.TorchRuntime(forward, "cpu", bfloat16=True)
    assert half.name.endswith("on cpu, bfloat16")
    rows = half.run(patches)
    assert rows.dtype == np.float32
    assert (image.project(whole) * image.project(rows)).sum(axis=1).min() > 0.999


def test_a_full_gpu_takes_fewer_patches_at_a_time(caplog):
    seen = []

    def forward(pixels):
        seen.append(len(pixels))
        if len(pixels) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return brightness(pixels)

    patches = tissue(17, 16)
    with caplog.at_level("INFO"):
        rows = inference.TorchRuntime(forward, "cpu").run(patches)
    np.testing.assert_allclose(rows, patches.mean(axis=(1, 2)), rtol=1e-5)
    assert seen == [17, 8, 4, 4, 4, 4, 1]
    assert "4 at a time" in caplog.text


@needs_openvino
def test_nothing_is_sent_home(tmp_path):
    """Left alone, importing OpenVINO notes consent in the home folder and sends an event from a process of its own."""
    code = (
        "import sys, numpy as np\n"
        "from encoders.mobilenet import MobileNetTexture\n"
        "backbone = MobileNetTexture()\n"
        "backbone.features(np.zeros((1, 112, 112, 3), dtype=np.uint8))\n"
        "assert backbone.runtime.startswith('OpenVINO'), backbone.runtime\n"
        "assert not [n for n, m in sys.modules.items() if n.startswith('openvino_telemetry') and m is not None]\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "TF_BUILD", "JENKINS_URL"}}
    subprocess.run([sys.executable, "-c", code], check=True, env={**environment, "HOME": str(tmp_path / "home")})
    assert not (tmp_path / "home").exists() or [p.name for p in (tmp_path / "home").iterdir()] == [".cache"]


@needs_openvino
def test_a_kept_graph_gives_the_same_bits_without_pytorch_and_a_damaged_one_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("HISTOSEEK_CACHE_DIR", str(tmp_path))
    patches = tissue(2, 112)
    first = MobileNetTexture().features(patches)
    kept = next((tmp_path / "graphs").glob("*.xml"))
    code = (
        "import sys, numpy as np\n"
        "from encoders.mobilenet import MobileNetTexture\n"
        "patches = np.frombuffer(sys.stdin.buffer.read(), np.uint8).reshape(2, 112, 112, 3)\n"
        "sys.stdout.buffer.write(MobileNetTexture().features(patches).tobytes())\n"
        "assert 'torch' not in sys.modules\n"
    )
    again = subprocess.run([sys.executable, "-c", code], input=patches.tobytes(), capture_output=True, check=True)
    assert again.stdout == first.tobytes()
    kept.write_text("<net")
    np.testing.assert_array_equal(MobileNetTexture().features(patches), first)
    assert len(kept.read_text()) > 1000
    weights = bytearray(kept.with_suffix(".bin").read_bytes())
    weights[len(weights) // 2] ^= 0x40  # one bit of one weight
    kept.with_suffix(".bin").write_bytes(weights)
    np.testing.assert_array_equal(MobileNetTexture().features(patches), first)
