"""Regions of a class: connected tiles as valid polygons that do not overlap."""

import numpy as np
import pyarrow as pa
import pytest

from search.annotation.annotate import Annotation
from search.annotation.classes import UNASSIGNED
from search.annotation.regions import class_regions
from search.errors import AnnotationError

SIDE = 100.0


def annotation(xy, names, kind="tile", slides=None):
    n = len(xy)
    columns = {
        "id": [f"S/{i}" for i in range(n)],
        "slide": slides or ["S"] * n,
        "x_px": np.asarray(xy, dtype=float)[:, 0],
        "y_px": np.asarray(xy, dtype=float)[:, 1],
        "class": names,
        "best_class": names,
        "margin": np.full(n, 0.2),
        "p_value": np.linspace(0.01, 0.2, n).astype(np.float32),
        "fdr": np.full(n, 0.3, dtype=np.float32),
        "prob_a": np.full(n, 0.6),
        "prob_b": np.full(n, 0.4),
    }
    return Annotation(pa.table(columns), {}, ("said",), ("a", "b"), "image", kind, "calibrated", 0.5, "others", 300, 0)


def grid(rows):
    """Tiles of a picture in letters, `.` for none of a class."""
    places = [(SIDE * (x + 0.5), SIDE * (y + 0.5)) for y, row in enumerate(rows) for x in range(len(row))]
    return places, [UNASSIGNED if letter == "." else letter for row in rows for letter in row]


def test_connected_tiles_are_one_region_and_corners_do_not_connect():
    found = annotation(*grid(["aab.", "abb.", "...a", "bbba"]))
    regions = class_regions(found)
    assert [(r.name, len(r.places)) for r in regions] == [("a", 3), ("a", 2), ("b", 3), ("b", 3)]
    for region in regions:
        assert region.outline.is_valid
        assert region.outline.area == pytest.approx(len(region.places) * SIDE**2, rel=1e-3)
        assert region.probability == pytest.approx(0.6 if region.name == "a" else 0.4)
    assert sum(a.outline.intersection(b.outline).area for i, a in enumerate(regions) for b in regions[:i]) < 1
    assert [len(r.places) for r in class_regions(found, fewest=3)] == [3, 3, 3]
    assert sum(len(r.places) for r in class_regions(found, unassigned=True)) == 16


def test_a_ring_has_a_hole():
    (ring, inside) = class_regions(annotation(*grid(["aaa", "aba", "aaa"])))
    assert len(ring.outline.interiors) == 1
    assert (len(ring.places), len(inside.places)) == (8, 1)


@pytest.mark.parametrize("seed", range(3))
def test_uneven_spots_close_up_and_do_not_overlap(seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:12, :12]
    xy = np.stack([x.ravel() + 0.5 * (y.ravel() % 2), y.ravel() * 0.87], axis=1) * 200 + rng.normal(0, 8, (144, 2))
    names = np.where(xy[:, 0] < 1_200, "a", "b").tolist()
    regions = class_regions(annotation(xy, names, kind="spot"))
    assert len(regions) == 2  # no gap splits either half
    assert regions[0].outline.intersection(regions[1].outline).area < 1
    assert sum(len(region.places) for region in regions) == 144


def test_spots_in_one_line_have_regions():
    regions = class_regions(annotation([(0, 0), (100, 0), (200, 0)], ["a", "a", "b"], kind="spot"))
    assert [(r.name, len(r.places)) for r in regions] == [("a", 2), ("b", 1)]


def test_what_has_no_regions_says_why():
    with pytest.raises(AnnotationError, match="items are of 2"):
        class_regions(annotation([(0, 0), (1, 1)], ["a", "b"], slides=["S", "T"]))
    with pytest.raises(AnnotationError, match="at least two"):
        class_regions(annotation([(0, 0), (np.nan, 1)], ["a", "b"]))
