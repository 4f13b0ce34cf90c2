"""Stain normalisation against the direct computation."""

import numpy as np
import pytest
from skimage.color import lab2rgb, rgb2lab

from encoders.errors import PatchError
from encoders.stain import measure_stain, move_stain

TARGET = np.array([[70, 20, -12], [12, 10, 7]], dtype=np.float32)


@pytest.fixture
def patches():
    rng = np.random.default_rng(0)
    tissue = rng.normal([190, 130, 170], [25, 30, 20], size=(3, 16, 16, 3))
    return np.clip(tissue, 0, 255).astype(np.uint8)


def test_a_stain_is_the_moments_of_lab(patches):
    flat = np.full((2, 8, 8, 3), 128, dtype=np.uint8)
    mean, sd = measure_stain(flat)
    np.testing.assert_allclose(mean, rgb2lab(flat[:1, :1, 0])[0, 0], atol=1e-4)
    np.testing.assert_allclose(sd, 0, atol=1e-4)


def test_lab_is_that_of_scikit_image():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)
    lab = rgb2lab(pixels[:, ::4, ::4]).reshape(-1, 3)
    np.testing.assert_allclose(measure_stain(pixels), [lab.mean(axis=0), lab.std(axis=0)], atol=1e-3)


def test_the_table_agrees_with_the_direct_computation(patches):
    stain = measure_stain(patches)
    (mean, sd), (new_mean, new_sd) = stain.astype(float), TARGET.astype(float)
    direct = np.clip(lab2rgb((rgb2lab(patches) - mean) / sd * new_sd + new_mean), 0, 1) * 255
    moved = move_stain(patches, stain=stain, target=TARGET)
    assert moved.dtype == np.uint8
    assert np.abs(moved - direct).max() < 2.5
    assert np.abs(moved - direct).mean() < 0.5


def test_moving_to_the_own_stain_changes_nothing(patches):
    stain = measure_stain(patches)
    assert np.abs(move_stain(patches, stain=stain, target=stain).astype(int) - patches).max() <= 2


def test_two_stains_of_one_tissue_meet(patches):
    darker = (patches * 0.8).astype(np.uint8)
    one = move_stain(patches, stain=measure_stain(patches), target=TARGET)
    two = move_stain(darker, stain=measure_stain(darker), target=TARGET)
    before = np.abs(patches.astype(int) - darker).mean()
    assert np.abs(one.astype(int) - two).mean() < 0.25 * before


def test_a_flat_section_is_shifted_and_not_blown_up():
    flat = np.full((1, 8, 8, 3), 200, dtype=np.uint8)
    moved = move_stain(flat, stain=measure_stain(flat), target=TARGET)
    assert np.ptp(moved.reshape(-1, 3), axis=0).max() <= 1


def test_no_patches_have_no_stain(patches):
    with pytest.raises(PatchError, match="0 patches"):
        measure_stain(patches[:0])
