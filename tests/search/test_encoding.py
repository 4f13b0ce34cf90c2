"""Pixels to the patch an encoder expects."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.contracts import PatchSpec
from search.encoding import resample_patch
from search.errors import QueryError


def test_the_central_square_is_cut():
    pixels = np.zeros((300, 500, 3), dtype=np.uint8)
    pixels[100:200, 200:300] = 255  # the central 100 um at 1 um/px
    patch = resample_patch(pixels, 1.0, PatchSpec(100.0, 50))
    assert (patch[1:-1, 1:-1] == 255).all()
    assert (patch > 127).all()  # the outermost pixels blend with what lies beyond, as patches of slides do


def test_x_and_y_keep_their_places():
    pixels = np.zeros((200, 200, 3), dtype=np.uint8)
    pixels[:, 100:, 0] = 255  # right half red
    pixels[100:, :, 2] = 255  # lower half blue
    patch = resample_patch(pixels, 1.0, PatchSpec(200.0, 20))
    assert patch[2, 17].tolist() == [255, 0, 0]
    assert patch[17, 2].tolist() == [0, 0, 255]


@settings(max_examples=40, deadline=None)
@given(st.floats(0.1, 4), st.integers(8, 120), st.integers(8, 120))
def test_every_size_is_resampled_or_refused(mpp, height, width):
    spec = PatchSpec(60.0, 12)
    pixels = np.full((height, width, 3), 77, dtype=np.uint8)
    if min(height, width) * mpp >= spec.side_um:
        assert (resample_patch(pixels, mpp, spec) == 77).all()
        assert resample_patch(pixels, mpp, spec).shape == (12, 12, 3)
    elif min(height, width) * mpp < 0.97 * spec.side_um:
        with pytest.raises(QueryError, match="Cut a larger square"):
            resample_patch(pixels, mpp, spec)
