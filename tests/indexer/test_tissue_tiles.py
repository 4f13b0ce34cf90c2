"""Tissue is found on what looks like a slide, and tiles are laid over it."""

from contextlib import closing
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import SlideError
from indexer.generated.sections import GeneratedImage
from indexer.readers.pictures import open_picture
from indexer.tissue.mask import tissue_mask
from indexer.tissue.regions import Region, Regions
from indexer.tissue.shares import tissue_share
from indexer.tissue.tiles import MIN_TISSUE, lay_tiles, local_order, read_patches, tissue_grid
from tests.indexer.test_formats_slides import write_ome

GLASS, HAZE, PINK = (243, 241, 244), (244, 218, 228), (205, 120, 175)


def painted(*, haze: bool = False) -> np.ndarray:
    """Glass of 400 x 300 with a textured pink square at x 100-300, y 80-220, maybe a smooth haze beside it."""
    rng = np.random.default_rng(0)
    pixels = np.tile(np.array(GLASS, dtype=float), (300, 400, 1)) + rng.normal(0, 1, (300, 400, 1))
    if haze:
        pixels[80:220, 310:390] = HAZE
    pixels[80:220, 100:300] = PINK + rng.normal(0, 25, (140, 200, 1))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def test_tissue_is_found_where_it_is():
    mask = tissue_mask(painted())
    truth = np.zeros((300, 400), dtype=bool)
    truth[80:220, 100:300] = True
    assert (mask & truth).sum() / (mask | truth).sum() > 0.93


def test_smooth_haze_is_not_tissue():
    assert tissue_mask(painted(haze=True))[100:200, 325:380].mean() == 0


@pytest.mark.parametrize("colour", [(255, 255, 255), GLASS, (0, 0, 0), (128, 128, 128)])
def test_a_blank_slide_has_no_tissue(colour):
    blank = np.tile(np.array(colour, dtype=np.uint8), (60, 80, 1))
    assert not tissue_mask(blank).any()
    assert tissue_grid(GeneratedImage(blank), 1.0, 10, 10).shape == (0, 2)


def test_a_picture_full_of_tissue_is_all_tissue():
    rng = np.random.default_rng(1)
    full = np.clip(np.array(PINK) + rng.normal(0, 25, (100, 100, 1)), 0, 255).astype(np.uint8)
    assert tissue_mask(full).mean() > 0.99


def test_specks_and_holes_are_cleaned():
    pixels = painted()
    pixels[20:23, 20:23] = (40, 20, 90)
    pixels[150:152, 200:202] = GLASS
    mask = tissue_mask(pixels)
    assert not mask[:60, :60].any()
    assert mask[145:157, 195:207].all()


@settings(deadline=None, max_examples=25)
@given(side=st.integers(15, 60), stride=st.integers(15, 60))
def test_tiles_lie_on_tissue_in_a_grid(side, stride):
    centres = tissue_grid(GeneratedImage(painted()), 2.0, side * 2.0, stride * 2.0)
    assert len(centres)
    assert (centres >= side / 2).all()
    assert (centres + side / 2 <= (400, 300)).all()
    steps = (centres - centres[0]) / stride
    assert np.allclose(steps, np.rint(steps))
    # A tile with half of its square on the tissue has its centre within it, but for the mask's soft edge.
    assert (np.abs(centres - (200, 150)) <= (106, 76)).all()


def test_a_tile_larger_than_the_slide():
    assert tissue_grid(GeneratedImage(painted()), 1.0, 5_000, 100).shape == (0, 2)


@pytest.mark.parametrize("lengths", [(0, 10, 10), (1, -1, 10), (1, 10, float("nan"))])
def test_lengths_must_be_positive(lengths):
    with pytest.raises(SlideError, match="expected a positive length"):
        tissue_grid(GeneratedImage(painted()), *lengths)


def test_shares_are_exact():
    mask = np.zeros((10, 20), dtype=bool)
    mask[:, :10] = True
    centres = np.array([[5.0, 5], [10, 5], [15, 5], [0, 0], [60, 60]])
    assert tissue_share(mask, centres, np.array([4.0, 4.0])).tolist() == [1, 0.5, 0, 1, 0]
    assert MIN_TISSUE == 0.5


@dataclass
class Positions:
    """Image whose every pixel holds its place."""

    size_px = (100, 100)

    def read(self, x_px, y_px, side_px, out_px):
        return np.full((out_px, out_px, 3), (x_px, y_px, side_px), dtype=np.uint8)


def test_patches_come_in_batches_in_order():
    points = np.column_stack([np.arange(10.0), np.arange(10.0) * 2])
    batches = list(read_patches(Positions(), points, side_px=7, out_px=3, batch=4))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert np.concatenate(batches)[:, 0, 0].tolist() == [[i, 2 * i, 7] for i in range(10)]


@settings(deadline=None, max_examples=25)
@given(mpp=st.floats(0.2, 2.0), side_um=st.floats(20, 120), overlap=st.floats(0, 0.9))
def test_stored_places_lead_back_to_their_pixels(ramp, mpp, side_um, overlap):
    """A tile's centre, kept as float32, shows at the encoder's resolution what lies there at level 0."""
    side_px = side_um / mpp
    found = lay_tiles(ramp, mpp, side_um, max(10.0, side_um * (1 - overlap)), slide="S", regions=WHOLE).xy_px
    corners = found - side_px / 2
    assert (corners > -1e-6).all()
    assert (found + side_px / 2 < np.array(ramp.size_px) + 1e-6).all()
    inside = found[(corners > 1).all(axis=1) & (found + side_px / 2 < np.array(ramp.size_px) - 1).all(axis=1)]
    for x, y in inside[:: max(1, len(inside) // 3)].astype(np.float32):  # at the edge white is mixed in
        shown = ramp.read(float(x), float(y), side_px, 32).reshape(-1, 3).mean(axis=0)
        assert abs(4 * shown[0] - x) < 4
        assert abs(4 * shown[1] - y) < 4


WHOLE = Regions((Region(None, ((np.array([(0.0, 0), (1000, 0), (1000, 700), (0, 700)]),),)),), ())


@pytest.fixture(scope="module")
def ramp(tmp_path_factory):
    """A pyramid whose red is a fourth of x and whose green is a fourth of y."""
    with closing(open_picture(write_ome(tmp_path_factory.mktemp("ramp") / "a.ome.tif"))) as image:
        yield image


@pytest.mark.real
def test_the_spots_of_a_real_section_lie_on_its_tissue(mirror):
    from indexer.datasets.manifest import load_manifest
    from indexer.sources import open_sources

    (section,) = open_sources("her2st", manifest=load_manifest(), slides=["C3"])
    image = section.open_image()
    mask = tissue_mask(image.thumbnail(1_024))
    place = (section.read_expression().xy_px * mask.shape[1] / image.size_px[0]).astype(int)
    assert mask[place[:, 1], place[:, 0]].mean() > 0.95
    assert 0.15 < mask.mean() < 0.20  # without the eosin that ran over the glass
    image.close()


def test_patches_are_read_beside_one_another():
    points = np.stack(np.meshgrid(np.arange(0, 4_000, 40.0), np.arange(0, 2_000, 40.0)), axis=-1).reshape(-1, 2)
    shuffled = np.random.default_rng(0).permutation(points)
    order = local_order(shuffled, 100.0)
    assert sorted(order.tolist()) == list(range(len(points)))
    steps = np.abs(np.diff(shuffled[order], axis=0)).max(axis=1)
    assert np.mean(steps <= 100) > 0.95  # all but the steps to the top of the next band
    assert steps.max() <= 2_000
