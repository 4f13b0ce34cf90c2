"""Generated sections: marked, repeatable, and with counts that follow the known cells."""

import numpy as np
import pytest

from indexer.generated.counts import GENES
from indexer.generated.sections import generated_sections
from indexer.generated.tissue import CELL_TYPES, GLASS
from indexer.tissue.mask import tissue_mask

SIDE = 1_200


@pytest.fixture(scope="module")
def sections():
    return generated_sections(side_px=SIDE)


@pytest.fixture(scope="module")
def drawn(sections):
    return sections[0].open_image()


def test_they_say_that_they_are_generated(sections):
    for section in sections:
        facts = section.facts
        assert facts.generated
        assert (facts.cohort, facts.mpp_source, facts.licence) == ("generated", "generated", "CC0-1.0 (generated)")
        assert "seed 0" in facts.citation
    assert len({section.facts.patient for section in sections}) == 4
    assert len({section.facts.slide for section in generated_sections(n_sections=2)}) == 8


def test_the_same_seed_gives_the_same_section(sections, drawn):
    again = generated_sections(n_patients=1, side_px=SIDE)[0]
    assert (again.open_image().thumbnail(SIDE) == drawn.thumbnail(SIDE)).all()  # drawn before its counts are asked for
    one, other = sections[0].read_expression(), again.read_expression()
    assert (one.counts != other.counts).nnz == 0
    assert (one.xy_px == other.xy_px).all()


def test_another_seed_or_section_gives_another(sections):
    first = sections[0].read_expression().counts.sum()
    assert generated_sections(n_patients=1, side_px=SIDE, seed=1)[0].read_expression().counts.sum() != first
    assert generated_sections(n_patients=1, side_px=SIDE, n_sections=2)[1].read_expression().counts.sum() != first


def test_the_expression_is_well_formed(sections):
    for section in sections:
        found = section.read_expression()
        assert found.genes == section.read_genes() == GENES
        assert found.counts.shape == (len(found.names), len(GENES))
        assert found.counts.dtype == np.float32
        assert len(set(found.names)) == len(found.names) == len(found.labels) > 5
        assert (found.xy_px >= 0).all()
        assert (found.xy_px < SIDE).all()
        assert np.allclose(section.spots.proportions.sum(axis=1), 1)
        assert "background" not in found.labels


def test_counts_follow_the_cells(sections):
    markers = {"Cancer Epithelial": "EPCAM", "CAFs": "COL1A1", "T-cells": "CD3D", "Adipocytes": "PLIN1"}
    spots = [section.spots for section in sections]
    shares = np.vstack([spot.proportions for spot in spots])
    counts = np.vstack([spot.counts.toarray() for spot in spots])
    counts /= counts.sum(axis=1, keepdims=True)
    for cell_type, gene in markers.items():
        truth, seen = shares[:, CELL_TYPES.index(cell_type)], counts[:, GENES.index(gene)]
        assert np.corrcoef(truth, seen)[0, 1] > 0.6, cell_type


def test_nearest_spots_are_200_um_apart(sections):
    from scipy.spatial.distance import pdist

    section = sections[0]
    assert pdist(section.read_expression().xy_px).min() * section.facts.mpp == pytest.approx(200)


def test_cells_lie_on_the_tissue_and_the_picture_shows_them(sections, drawn):
    plan = sections[0].plan
    assert (plan.region_at(plan.cells_px) != GLASS).mean() > 0.98
    pixels = drawn.thumbnail(SIDE).astype(int)
    x, y = np.floor(plan.cells_px).astype(int).T
    assert pixels[y, x].mean() < 150
    assert pixels[glass_of(plan)].mean() > 235


def glass_of(plan) -> np.ndarray:
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    return plan.region_at(np.column_stack([x.ravel(), y.ravel()]).astype(float)).reshape(SIDE, SIDE) == GLASS


def test_tissue_is_found_on_it(sections, drawn):
    mask = tissue_mask(drawn.thumbnail(600))
    spots = (sections[0].read_expression().xy_px / SIDE * mask.shape[0]).astype(int)
    assert mask[spots[:, 1], spots[:, 0]].mean() > 0.8


def test_patients_differ_in_composition_and_stain(sections):
    fat = [section.spots.proportions[:, CELL_TYPES.index("Adipocytes")].mean() for section in sections]
    assert fat[3] > fat[0]
    assert sections[2].patient.haematoxylin > sections[1].patient.haematoxylin


@pytest.mark.parametrize("wrong", [{"n_patients": 0}, {"n_patients": 9}, {"side_px": 10}, {"n_sections": 0}])
def test_numbers_out_of_range(wrong):
    with pytest.raises(ValueError, match="Got n_"):
        generated_sections(**wrong)
