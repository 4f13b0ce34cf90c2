"""The trainer: what it learns on a world with known answers, that it repeats itself, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from encoders.contracts import unit_rows
from encoders.errors import PatchError, TrainingError
from encoders.mini import MiniWeights
from encoders.recipe import Recipe
from encoders.sections import ExpressionSection
from encoders.training import align


def diagonal_beats_the_rest(space, section):
    stain = space.image.stain_of(section.patches)
    features = space.image.features(section.patches, stain=stain)
    images = space.image.project(features, centre=features.mean(axis=0))
    expression = space.expression.encode_counts(section.counts, section.genes, by_section=True).vectors
    scores = images @ expression.T
    return (scores >= np.diag(scores)[:, None]).sum(axis=1)


def test_a_new_patient_is_retrieved(small_space, make_section):
    ranks = diagonal_beats_the_rest(small_space, make_section("S9", "P9"))
    assert np.mean(ranks <= 6) > 0.7  # chance is 0.1


def test_shuffled_pairs_teach_nothing(paired, small_recipe, backbone, make_section):
    rng = np.random.default_rng(0)
    broken = [replace(s, counts=s.counts[rng.permutation(s.counts.shape[0])]) for s in paired]
    space = align(broken, recipe=small_recipe, backbone=backbone)
    ranks = diagonal_beats_the_rest(space, make_section("S9", "P9"))
    assert np.mean(ranks <= 6) < 0.4


def test_the_same_input_gives_the_same_weights(paired, extra, small_recipe, backbone, small_space):
    again = align(paired, extra, recipe=small_recipe, backbone=backbone)
    assert again.card == small_space.card
    assert again.image.weights.to_bytes() == small_space.image.weights.to_bytes()


def test_other_input_gives_another_revision(paired, small_recipe, backbone, small_space):
    other = align(paired, recipe=small_recipe, backbone=backbone)
    assert other.card.revision != small_space.card.revision


def test_the_card_says_what_went_in(small_space, small_recipe):
    card = small_space.card
    assert card.training_slides == ("S1", "S2", "S3")
    assert card.training_patients == ("P1", "P2")
    assert card.recipe["paired_slides"] == "S1 S2"
    assert card.recipe["shrinkage"] == small_recipe.shrinkage
    assert card.weights_sha256 == small_space.image.weights.sha256()


def test_the_null_prefers_other_patients(small_space):
    assert small_space.card.recipe["null image->image"] == "different sections"  # one patient has pictures
    assert small_space.card.recipe["null image->expression"] == "different patients"
    assert small_space.card.recipe["null genes->image"] == "random lists"
    middle = small_space.card.calibration.probabilities.index(0.5)
    assert abs(small_space.card.calibration.quantiles["expression->image"][middle]) < 0.2


def test_progress_is_told_by_section(paired, small_recipe, backbone):
    told = []
    align(paired, recipe=small_recipe, backbone=backbone, on_section=lambda *step: told.append(step))
    assert told == [(1, 2, "S1"), (2, 2, "S2")]


def test_weights_survive_being_written_and_read(small_space):
    weights = small_space.image.weights
    read = MiniWeights.from_bytes(weights.to_bytes())
    assert read.genes == weights.genes
    np.testing.assert_array_equal(read.image_projection, weights.image_projection)
    np.testing.assert_array_equal(read.gene_sd, weights.gene_sd)


def test_no_sections_are_refused(small_recipe, backbone):
    with pytest.raises(TrainingError, match="0 paired sections"):
        align([], recipe=small_recipe, backbone=backbone)


def test_pairs_that_do_not_join_are_refused(paired, small_recipe, backbone):
    short = replace(paired[0], patches=paired[0].patches[:-4])
    with pytest.raises(TrainingError, match="S1 has 56 patches but 60 rows"):
        align([short, paired[1]], recipe=small_recipe, backbone=backbone)


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_bad_counts_are_refused(paired, small_recipe, backbone, value):
    counts = paired[0].counts.toarray()
    counts[2, 3] = value
    with pytest.raises(TrainingError, match=r"S1 cannot be trained on.*GENE3 in row 2"):
        align([replace(paired[0], counts=sp.csr_matrix(counts)), paired[1]], recipe=small_recipe, backbone=backbone)


def test_spots_without_counts_are_refused(paired, small_recipe, backbone):
    counts = paired[0].counts.toarray()
    counts[5] = 0
    with pytest.raises(TrainingError, match=r"1 spots without counts \(row 5"):
        align([replace(paired[0], counts=sp.csr_matrix(counts)), paired[1]], recipe=small_recipe, backbone=backbone)


def test_constant_genes_are_refused(paired, small_recipe, backbone):
    flat = [replace(s, counts=sp.csr_matrix(np.ones(s.counts.shape))) for s in paired]
    with pytest.raises(TrainingError, match="varies"):
        align(flat, recipe=small_recipe, backbone=backbone)


def test_sections_without_a_shared_gene_are_refused(paired, small_recipe, backbone):
    renamed = replace(paired[1], genes=tuple(f"OTHER{i}" for i in range(60)))
    with pytest.raises(TrainingError, match="share no gene"):
        align([paired[0], renamed], recipe=small_recipe, backbone=backbone)


def test_fewer_spots_than_components_are_refused(make_section, extra, small_recipe, backbone):
    with pytest.raises(TrainingError, match="There are 6 paired spots"):
        align([make_section("S5", "P5", n_spots=6)], extra, recipe=small_recipe, backbone=backbone)


def test_a_single_spot_is_refused(make_section, paired, small_recipe, backbone):
    with pytest.raises(TrainingError, match="S5 has 1 spots"):
        align([*paired, make_section("S5", "P5", n_spots=1)], recipe=small_recipe, backbone=backbone)


@pytest.mark.parametrize(
    ("change", "what"),
    [({"image_components": 99}, "99 image components"), ({"dim": 7}, "7 dimensions"), ({"n_genes": 4}, "4 genes")],
)
def test_settings_that_cannot_be_met_are_refused(paired, small_recipe, backbone, change, what):
    with pytest.raises(TrainingError, match=what):
        align(paired, recipe=replace(small_recipe, **change), backbone=backbone)


def test_patches_of_another_side_are_refused(paired, backbone):
    with pytest.raises(PatchError, match="448"):
        align(paired, recipe=Recipe(image_components=6, expression_components=6, dim=3), backbone=backbone)


def test_one_section_is_calibrated_on_its_different_spots(paired, small_recipe, backbone):
    space = align(paired[:1], recipe=small_recipe, backbone=backbone)
    assert space.card.recipe["null image->expression"] == "different spots"
    assert len(set(space.card.calibration.quantiles["image->expression"])) > 50


def test_the_stain_is_left_alone_when_asked(paired, small_recipe, backbone):
    space = align(paired, recipe=replace(small_recipe, normalise_stain=False), backbone=backbone)
    assert space.image.weights.stain_target is None
    np.testing.assert_array_equal(space.image.features(paired[0].patches), backbone.features(paired[0].patches))
    assert MiniWeights.from_bytes(space.image.weights.to_bytes()).stain_target is None


def test_expression_only_sections_shape_the_basis(paired, small_recipe, backbone, extra):
    quiet = extra[0].counts.toarray()
    quiet[:, 10:] = 1.0
    only_ten = ExpressionSection("S3", "P2", sp.csr_matrix(quiet), extra[0].genes)
    space = align(paired, [only_ten] * 8, recipe=replace(small_recipe, n_genes=10), backbone=backbone)
    assert len(set(space.expression.genes) & set(extra[0].genes[:10])) >= 6


def test_rows_of_zeros_stay_zero():
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)
