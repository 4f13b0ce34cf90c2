"""Which features a space takes, and what reads its pixels where it was trained on features."""

from types import SimpleNamespace

import pytest

from encoders.contracts import PatchSpec
from encoders.errors import PatchError, SpaceMismatchError, WeightsMissingError
from encoders.registry import open_space
from encoders.towers import Tower, tower_of
from encoders.trainer import tower_files
from encoders.trainer.image_towers import FeaturesElsewhere

UNI = Tower("own", ("uni",), 1024, PatchSpec(128.0, 224), needs_stain=False)


def test_features_of_another_encoder_are_refused_with_both_names():
    UNI.check_encoder("uni", 1024, "S1.h5")
    with pytest.raises(SpaceMismatchError, match=r"S1\.h5 holds features of encoder 'virchow'; space 'own' .*'uni'"):
        UNI.check_encoder("virchow", 2560, "S1.h5")
    with pytest.raises(SpaceMismatchError, match=r"768 dimensions; those of encoder 'uni'.* have 1024"):
        UNI.check_encoder("uni", 768, "S1.h5")
    with pytest.raises(SpaceMismatchError, match="does not say which encoder made its 1024-dimensional"):
        UNI.check_encoder(None, 1024, "S1.h5")


@pytest.mark.parametrize("side_um", [112.0, 256.0, 64.0])
def test_tiles_of_another_side_are_refused(side_um):
    UNI.check_side(130.0, "S1.h5", tolerance=0.05)
    with pytest.raises(PatchError, match=f"{side_um:g} um; encoder 'uni' of space 'own' takes 128 um"):
        UNI.check_side(side_um, "S1.h5", tolerance=0.1)


def test_an_encoder_that_crops_its_tile_takes_the_whole_tile():
    gigapath = Tower("own", ("gigapath",), 1536, PatchSpec(112.0, 224), needs_stain=False)
    gigapath.check_side(128.0, "S1.h5", tolerance=0.01)  # 256 px at 20x, of which the encoder sees the middle 224
    with pytest.raises(PatchError, match="takes 128 um"):
        gigapath.check_side(256.0, "S1.h5", tolerance=0.1)


def test_the_default_space_takes_its_own_features_after_its_stain():
    space = open_space("mini")
    tower = tower_of(space)
    assert tower.names == ("mini-image",)
    assert tower.needs_stain
    assert tower.dim == len(space.image.weights.image_centre)


def test_pixels_are_read_by_the_encoder_named_where_its_weights_are(monkeypatch, tmp_path):
    patch = PatchSpec(128.0, 224)
    monkeypatch.setenv("HISTOSEEK_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsMissingError, match=r"cannot read pixels here.*weights of 'uni' are not on this machine"):
        tower_files._elsewhere("uni", 1024, patch, "cpu")
    assert isinstance(tower_files._elsewhere("nobody-knows", 4, patch, "cpu"), FeaturesElsewhere)
    opened = SimpleNamespace(feature_dim=1024, patch=patch)
    monkeypatch.setattr(tower_files, "open_image_tower", lambda name, **_: opened)
    assert tower_files._elsewhere("uni", 1024, patch, "cpu") is opened
    with pytest.raises(SpaceMismatchError, match="1024 features of 224 px; the space was trained on features of 512"):
        tower_files._elsewhere("uni", 512, patch, "cpu")
