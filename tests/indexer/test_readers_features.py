"""Features made elsewhere: corners become centres, and files that do not fit together are named."""

import h5py
import numpy as np
import pytest
import torch

from encoders.errors import CheckpointError, SpaceMismatchError
from indexer.errors import FeaturesError
from indexer.readers.features import read_clam, read_hest_patches, read_trident

CORNERS = np.array([[0, 0], [1024, 512], [2048, 512]], dtype=np.int64)
VALUES = np.random.default_rng(0).normal(size=(3, 1024)).astype(np.float32)


def write_h5(path, attributes=None, **arrays):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
            file[name].attrs.update((attributes or {}).get(name, {}))
    return path


@pytest.fixture
def trident(tmp_path):
    """Writes a TRIDENT file, any part replaced."""

    def write(*, features=VALUES, coords=CORNERS, encoder="uni_v1", side=512):
        size = {} if side is None else {"patch_size_level0": side}
        attributes = {
            "features": {"encoder": encoder, "name": "S1"},
            "coords": {"patch_size": 256, "target_magnification": 20, "level0_magnification": 40, "overlap": 0, **size},
        }
        return write_h5(tmp_path / "S1.h5", attributes, features=features, coords=coords)

    return write


@pytest.fixture
def clam_patches(tmp_path):
    attributes = {"coords": {"patch_size": 256, "patch_level": 1, "downsample": (4.0, 4.0), "name": "S1"}}
    return write_h5(tmp_path / "patches.h5", attributes, coords=CORNERS)


def test_corners_of_trident_become_centres(trident):
    tiles = read_trident(trident())
    assert tiles.xy_px.tolist() == [[256, 256], [1280, 768], [2304, 768]]
    assert tiles.xy_px.dtype == np.float64
    assert (tiles.slide, tiles.encoder, tiles.side_px) == ("S1", "uni", 512.0)
    np.testing.assert_array_equal(tiles.features, VALUES)
    assert tiles.attributes["target_magnification"] == 20


def test_an_encoder_the_catalogue_does_not_have_keeps_its_name(trident):
    assert read_trident(trident(encoder="resnet50")).encoder == "resnet50"


def test_vectors_of_another_encoder_than_said_are_refused(trident):
    with pytest.raises(SpaceMismatchError, match=r"1024 .*'uni2-h'.*1536"):
        read_trident(trident(encoder="uni_v2"))


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ({"coords": CORNERS[:2]}, "3 features, 2 coords"),
        ({"side": None}, "how large a patch is"),
        ({"side": 0}, "above 0"),
        ({"features": VALUES[0]}, r"shape \(1024,\)"),
        ({"features": np.full((3, 1024), np.nan)}, "3 of 3 features are NaN"),
        ({"coords": CORNERS[:, :1]}, "x before y"),
    ],
)
def test_a_trident_file_that_does_not_fit_is_refused(trident, spoiled, said):
    with pytest.raises(FeaturesError, match=said):
        read_trident(trident(**spoiled))


def test_half_precision_features_are_read_as_float32(trident):
    tiles = read_trident(trident(features=VALUES.astype(np.float16)))
    assert tiles.features.dtype == np.float32


def test_corners_of_clam_become_centres_at_level_0(tmp_path, clam_patches):
    path = write_h5(tmp_path / "S1.h5", features=VALUES, coords=CORNERS)
    tiles = read_clam(path, patches=clam_patches, encoder="uni")
    assert tiles.side_px == 1024.0  # 256 px at a level four times smaller
    assert tiles.xy_px.tolist() == [[512, 512], [1536, 1024], [2560, 1024]]
    assert read_clam(path, side_px=256).xy_px.tolist() == [[128, 128], [1152, 640], [2176, 640]]
    assert read_clam(path, side_px=256).encoder is None
    with pytest.raises(FeaturesError, match="how large a patch is"):
        read_clam(path)
    with pytest.raises(SpaceMismatchError, match="virchow"):
        read_clam(path, side_px=256, encoder="virchow")


def test_a_pt_file_takes_its_coordinates_from_the_patches(tmp_path, clam_patches):
    torch.save(torch.from_numpy(VALUES), tmp_path / "S1.pt")
    tiles = read_clam(tmp_path / "S1.pt", patches=clam_patches)
    np.testing.assert_array_equal(tiles.features, VALUES)
    assert tiles.xy_px[0].tolist() == [512, 512]
    with pytest.raises(FeaturesError, match=r"patches/S1\.h5"):
        read_clam(tmp_path / "S1.pt")
    torch.save([torch.ones(2)], tmp_path / "S1.pt")
    with pytest.raises(CheckpointError, match="list; expected one tensor"):
        read_clam(tmp_path / "S1.pt", patches=clam_patches)
    (tmp_path / "S1.pt").write_bytes(b"PK\x03\x04 and no end")
    with pytest.raises(CheckpointError, match="cut off"):
        read_clam(tmp_path / "S1.pt", patches=clam_patches)


def test_corners_of_hest_become_centres_and_pixels_are_read_when_asked(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    barcodes = np.array([[b"AA-1"], [b"CC-1"], [b"GG-1"]])
    path = write_h5(tmp_path / "TENX1.h5", img=pictures, coords=CORNERS, barcode=barcodes)
    patches = read_hest_patches(path, side_px=448)
    assert patches.names == ("AA-1", "CC-1", "GG-1")
    assert patches.xy_px.tolist() == [[224, 224], [1248, 736], [2272, 736]]
    np.testing.assert_array_equal(patches.pixels(1, 3), pictures[1:])
    assert read_hest_patches(path, side_px=448, origin="centre").xy_px.tolist() == CORNERS.tolist()
    write_h5(path, img=pictures[:2], coords=CORNERS, barcode=barcodes)
    with pytest.raises(FeaturesError, match="2 img, 3 coords, 3 barcode"):
        read_hest_patches(path, side_px=448)
    write_h5(path, coords=CORNERS, barcode=barcodes)
    with pytest.raises(FeaturesError, match="'img'"):
        read_hest_patches(path, side_px=448)


def test_files_that_are_no_h5_or_lack_a_part_are_named(tmp_path):
    with pytest.raises(FeaturesError, match="no file"):
        read_trident(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("not h5")
    with pytest.raises(FeaturesError, match="damaged or not an h5 file"):
        read_trident(tmp_path / "text.h5")
    with pytest.raises(FeaturesError, match=r"'coords' in it; expected 'features'"):
        read_trident(write_h5(tmp_path / "coords.h5", coords=CORNERS))
