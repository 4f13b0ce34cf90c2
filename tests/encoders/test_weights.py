"""Weights files: tensors only, whatever else a file holds or lacks."""

import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from encoders.errors import CheckpointError, WeightsMissingError
from encoders.weights import check_layout, read_tensors, weights_folder

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


def test_a_training_checkpoint_is_opened_up(tmp_path):
    path = tmp_path / "checkpoint.pt"
    training = {
        "epoch": 3,
        "best": np.float64(0.5),
        "state_dict": {f"module.{name}": tensor for name, tensor in TENSORS.items()},
        "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-3}]},
    }
    torch.save(training, path)
    found = read_tensors(path)
    assert list(found) == list(TENSORS)
    assert torch.equal(found["a.weight"], TENSORS["a.weight"])


@pytest.mark.parametrize("old_format", [True, False])
def test_both_formats_of_pytorch_are_read(tmp_path, old_format):
    torch.save(TENSORS, tmp_path / "w.bin", _use_new_zipfile_serialization=not old_format)
    assert torch.equal(read_tensors(tmp_path / "w.bin")["a.bias"], TENSORS["a.bias"])


def test_other_objects_are_refused_and_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    torch.save({"state_dict": TENSORS, "args": Trap()}, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="never unpickled"):
        read_tensors(tmp_path / "w.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_a_file_cut_off_is_named(tmp_path, name):
    path = tmp_path / name
    if name == "w.pt":
        torch.save(TENSORS, path)
    else:
        save_file(TENSORS, path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CheckpointError, match=rf"{name}.* cut off"):
        read_tensors(path)


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\x80\x02}q\x00."])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"w\.pt"):
        read_tensors(tmp_path / "w.pt")


@pytest.mark.parametrize("held", [{"epoch": 3}, [torch.ones(2)], {}])
def test_a_file_without_weights_is_refused(tmp_path, held):
    torch.save(held, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="expected tensors by name"):
        read_tensors(tmp_path / "w.pt")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsMissingError, match="none"):
        read_tensors(tmp_path / "none.pt")


def test_another_layout_says_what_differs(tmp_path):
    other = {"a.weight": torch.ones(2, 4), "b.bias": torch.ones(2)}
    with pytest.raises(
        CheckpointError, match=r"1 missing .first a\.bias.*1 unknown .first b\.bias.*\(2, 4\), expected \(2, 3\)"
    ):
        check_layout(other, TENSORS, what="a model", path=tmp_path)
    check_layout(TENSORS, TENSORS, what="a model", path=tmp_path)


def test_the_folder_of_weights_is_a_setting(monkeypatch, tmp_path):
    monkeypatch.setenv("HISTOSEEK_WEIGHTS", str(tmp_path))
    assert weights_folder() == tmp_path
    monkeypatch.setenv("HISTOSEEK_WEIGHTS", "")
    monkeypatch.setenv("HISTOSEEK_CACHE_DIR", str(tmp_path / "cache"))
    assert weights_folder() == tmp_path / "cache" / "weights"
    monkeypatch.delenv("HISTOSEEK_CACHE_DIR")
    assert weights_folder().parts[-3:] == (".cache", "histoseek", "weights")
