"""`histoseek encoders` on published encoders: what is listed, what a check says, what converting refuses."""

import json

import pytest
import torch

from encoders.catalogue import CATALOGUE
from encoders.timm_models import _build, timm_facts


@pytest.fixture(autouse=True)
def weights(monkeypatch, tmp_path):
    """Folder of weights of the test."""
    monkeypatch.setenv("HISTOSEEK_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def tiny_weights(tmp_path):
    path = tmp_path / "tiny.pt"
    torch.save(_build(timm_facts("test_vit")).state_dict(), path)
    return path


def test_every_encoder_is_listed_with_its_state(histoseek, weights):
    ran = histoseek("encoders", "--json")
    rows = {row["name"]: row for row in json.loads(ran.stdout)["encoders"]}
    assert list(rows) == list(CATALOGUE)
    assert (rows["uni"]["dim"], rows["uni"]["side_um"], rows["uni"]["gated"]) == (1024, 128.0, True)
    assert rows["resnet-50"]["side_um"] is None
    assert "convert" in rows["omiclip"]["hint"]
    (weights / "resnet-50").mkdir(parents=True)
    (weights / "resnet-50" / "model.safetensors").write_bytes(b"")
    rows = {row["name"]: row for row in json.loads(histoseek("encoders", "--json").stdout)["encoders"]}
    assert (rows["resnet-50"]["state"], rows["uni"]["state"]) == ("ready", "weights missing")
    assert "features only" in histoseek("encoders").stdout


def test_any_timm_model_is_checked_with_its_weights(histoseek, tiny_weights):
    ran = histoseek("encoders", "check", "timm/test_vit", "--weights", tiny_weights, "--json")
    assert ran.code == 0
    answer = json.loads(ran.stdout)
    assert (answer["encoder"], answer["passed"]) == ("timm/test_vit", True)
    ran = histoseek("encoders", "check", "timm/test_resnet", "--weights", tiny_weights)
    assert ran.code == 1
    assert "not a checkpoint of timm/test_resnet" in ran.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("uni", "Ask for access"),
        ("omiclip", "histoseek encoders convert"),
        ("conch", "features"),
        ("uni9", "the spaces mini, omiclip and the encoders uni"),
        ("timm/uni9", "timm has no model"),
    ],
)
def test_what_is_missing_is_said_on_one_line(histoseek, name, said):
    ran = histoseek("encoders", "check", name)
    assert ran.code == 1
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_file_that_is_not_the_checkpoint_is_not_converted(histoseek, tiny_weights, tmp_path, weights):
    ran = histoseek("encoders", "convert", tiny_weights)
    assert ran.code == 1
    assert "not a checkpoint of OmiCLIP" in ran.stderr
    (tmp_path / "genes.csv").write_text("symbol\nACTB\n")
    ran = histoseek("encoders", "convert", tiny_weights, "--housekeeping", tmp_path / "genes.csv")
    assert ran.code == 1
    assert "genesymbol" in ran.stderr
    assert not weights.exists()
