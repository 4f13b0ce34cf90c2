"""Sections laid over each other: planted turns, shifts and bends are found again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.errors import AlignmentError
from search.sections.alignment import PointSet, align_points


def section(n=220, dim=8, seed=0):
    """Points of an irregular patch of tissue, 200 um apart, whose features vary smoothly over it."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(26), np.arange(26)), axis=-1).reshape(-1, 2) * 200.0
    centre = grid.mean(axis=0)
    angle = np.arctan2(*(grid - centre).T)
    inside = np.linalg.norm(grid - centre, axis=1) < 1_600 * (1 + 0.25 * np.cos(angle) + 0.2 * np.sin(2 * angle))
    xy = grid[inside][:n] + rng.normal(0, 10, (min(n, inside.sum()), 2))
    waves = rng.normal(0, 1 / 700, (2, dim))
    features = np.cos(xy @ waves + rng.uniform(0, 2 * np.pi, dim)) + rng.normal(0, 0.15, (len(xy), dim))
    return PointSet(xy, features)


def turned(points, degrees, *, scale=1.1, bend_um=50.0, shift=(3_000.0, -1_500.0), flip=1.0):
    centre = points.xy_um.mean(axis=0)
    xy = points.xy_um - centre
    length = np.ptp(xy, axis=0).max()
    xy = xy + bend_um * np.sin(2 * np.pi * xy[:, ::-1] / length + [0.3, 1.1])
    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return PointSet(((xy * scale) @ turn.T) * [flip, 1.0] + centre + shift, points.features)


def error_um(found, points):
    return float(np.median(np.linalg.norm(found.moved_um - points.xy_um, axis=1)))


@settings(max_examples=6, deadline=None)
@given(st.floats(-180, 180), st.floats(0.9, 1.1), st.integers(0, 2))
def test_a_planted_turn_scale_and_bend_are_found_again(degrees, scale, seed):
    points = section(seed=seed)
    found = align_points(turned(points, degrees, scale=scale), points)
    assert error_um(found, points) < 50
    assert not found.mirrored
    assert found.matched.min() >= 0
    assert found.matched.max() <= 1


def test_sections_that_share_no_spot_are_laid_over_each_other():
    points = section(n=400)
    half = np.random.default_rng(1).permutation(len(points.xy_um)) < len(points.xy_um) // 2
    first = PointSet(points.xy_um[half], points.features[half])
    second = PointSet(points.xy_um[~half], points.features[~half])
    found = align_points(turned(second, 30), first)
    assert error_um(found, second) < 150  # items of one section lie some 280 um apart


def test_a_section_may_lie_with_its_other_side_up():
    points = section()
    flipped = turned(points, 40, flip=-1.0)
    found = align_points(flipped, points, mirror=True)
    assert found.mirrored
    assert error_um(found, points) < 50
    assert error_um(align_points(flipped, points), points) > 200


def test_a_rigid_map_keeps_angles_and_its_matrix_moves_the_points():
    points = section()
    moving = turned(points, 75, scale=0.95, bend_um=0.0)
    found = align_points(moving, points, model="rigid")
    linear, shift = found.matrix[:, :2], found.matrix[:, 2]
    assert linear @ linear.T == pytest.approx(np.eye(2) / 0.95**2, abs=0.02)
    assert moving.xy_um @ linear.T + shift == pytest.approx(found.moved_um, abs=1e-6)


@pytest.mark.parametrize(
    ("moving", "message"),
    [
        (PointSet(np.zeros((3, 2)), np.zeros((3, 8))), "moving section has 3 item"),
        (PointSet(np.arange(40.0).repeat(2).reshape(40, 2), np.ones((40, 8))), "on one line"),
        (PointSet(section().xy_um, section().features[:, :3]), "features of 3 dimensions.*of 8"),
        (PointSet(section().xy_um * np.nan, section().features), "not finite"),
    ],
)
def test_sections_that_cannot_be_aligned(moving, message):
    with pytest.raises(AlignmentError, match=message):
        align_points(moving, section())


def test_models_are_named():
    with pytest.raises(AlignmentError, match="model='elastic' is not known; choose one of rigid, affine, warp"):
        align_points(section(), section(), model="elastic")
