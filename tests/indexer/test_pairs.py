"""Pairs for the trainer: patches at the right place and scale, spots without counts left out."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from encoders.contracts import PatchSpec
from indexer.errors import CountsError, JoinError, SlideError
from indexer.pairs import read_pairs, read_transcriptomes
from indexer.slides import Expression, SlideFacts

FACTS = SlideFacts("S1", "P1", "small", "breast", "tumour", "ST", "human", "CC0", "none", mpp=0.5, mpp_source="user")
PATCH = PatchSpec(side_um=50.0, side_px=4)


class Image:
    size_px = (300, 200)

    def __init__(self):
        self.asked, self.closed = [], False

    def read(self, x_px, y_px, side_px, out_px):
        self.asked.append((x_px, y_px, side_px, out_px))
        return np.full((out_px, out_px, 3), int(x_px), dtype=np.uint8)

    def close(self):
        self.closed = True


class Slide:
    kind = "spot"
    files = ()
    image_path = None

    def __init__(self, counts, xy_px, *, image=None, facts=FACTS):
        self.facts, self.image = facts, image
        self._counts, self._xy_px = counts, xy_px

    def open_image(self):
        return self.image

    def read_expression(self):
        if self._counts is None:
            return None
        counts = sp.csr_matrix(np.array(self._counts, dtype=np.float32))
        xy_px = None if self._xy_px is None else np.array(self._xy_px, dtype=float)
        return Expression([f"spot{i}" for i in range(counts.shape[0])], counts, ["A", "B"], xy_px, spot_um=100)


def test_a_patch_is_cut_round_each_spot_with_counts():
    image = Image()
    pairs = read_pairs(Slide([[1, 2], [0, 0], [3, 0]], [[10, 20], [30, 40], [50, 60]], image=image), PATCH)
    assert image.asked == [(10, 20, 100.0, 4), (50, 60, 100.0, 4)]
    assert image.closed
    assert pairs.patches.shape == (2, 4, 4, 3)
    assert pairs.patches[:, 0, 0, 0].tolist() == [10, 50]
    assert pairs.counts.toarray().tolist() == [[1, 2], [3, 0]]
    assert (pairs.slide, pairs.patient, list(pairs.genes)) == ("S1", "P1", ["A", "B"])


def test_transcriptomes_need_no_picture():
    section = read_transcriptomes(Slide([[0, 0], [3, 1]], None))
    assert section.counts.toarray().tolist() == [[3, 1]]


@pytest.mark.parametrize(("image", "mpp", "what"), [(None, 0.5, "no image"), (Image(), None, "no mpp")])
def test_pairs_need_an_image_with_a_scale(image, mpp, what):
    with pytest.raises(SlideError, match=f"S1 has {what}"):
        read_pairs(Slide([[1, 2]], [[10, 20]], image=image, facts=replace(FACTS, mpp=mpp)), PATCH)


def test_counts_without_positions_do_not_pair():
    image = Image()
    with pytest.raises(JoinError, match="without positions"):
        read_pairs(Slide([[1, 2]], None, image=image), PATCH)
    assert image.closed


def test_spots_off_the_picture_are_refused():
    with pytest.raises(JoinError, match="outside the image"):
        read_pairs(Slide([[1, 2]], [[20, 250]], image=Image()), PATCH)


@pytest.mark.parametrize("counts", [None, [[0, 0], [0, 0]]])
def test_slides_without_counts_are_refused(counts):
    with pytest.raises(CountsError, match="S1"):
        read_transcriptomes(Slide(counts, None))
