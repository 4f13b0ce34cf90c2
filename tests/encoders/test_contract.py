"""What every encoder of every space that is shipped keeps."""

import numpy as np
import pytest
import scipy.sparse as sp

from encoders.contracts import SectionStats
from encoders.errors import GeneQueryError, PatchError
from encoders.gene_lists import WeightedGenes
from encoders.registry import open_space, shipped_spaces
from encoders.sentences import GeneSentence


@pytest.fixture(scope="module", params=shipped_spaces())
def space(request):
    return open_space(request.param)


@pytest.fixture(scope="module")
def patches(space):
    side = space.image.patch.side_px
    rng = np.random.default_rng(3)
    colours = rng.integers(90, 240, size=(5, 8, 8, 3))
    return np.kron(colours, np.ones((1, side // 8, side // 8, 1), dtype=int)).astype(np.uint8)


@pytest.fixture(scope="module")
def counts(space):
    rates = np.random.default_rng(4).gamma(0.5, 2.0, size=(6, len(space.expression.genes)))
    return sp.csr_matrix(np.random.default_rng(5).poisson(rates).astype(np.float32))


def assert_unit_vectors(vectors, n, space):
    assert vectors.dtype == np.float32
    assert vectors.shape == (n, space.card.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_encoders_declare_what_the_card_says(space):
    for modality in ("image", "expression"):
        info = space.info(modality)
        assert info.modality == modality
        assert (info.dim, info.revision) == (space.card.dim, space.card.revision)
        assert info.weights_sha256 == space.card.weights_sha256
        assert info.licence


def test_image_vectors_are_units(space, patches):
    assert_unit_vectors(space.image.encode(patches), len(patches), space)


def test_images_of_a_section_are_encoded_in_its_own_frame(space, patches):
    stain = space.image.stain_of(patches)
    assert stain.shape == (2, 3)
    assert stain.dtype == np.float32
    features = space.image.features(patches, stain=stain)
    section = SectionStats(stain=stain, centre=features.mean(axis=0))
    vectors = space.image.encode(patches, section=section)
    assert_unit_vectors(vectors, len(patches), space)
    np.testing.assert_allclose(vectors, space.image.project(features, centre=section.centre), atol=1e-5)
    assert not np.allclose(vectors, space.image.encode(patches), atol=0.01)


def test_images_encode_the_same_twice(space, patches):
    np.testing.assert_array_equal(space.image.encode(patches), space.image.encode(patches))


def test_images_do_not_depend_on_their_batch(space, patches):
    together = space.image.encode(patches)
    apart = np.concatenate([space.image.encode(patches[i : i + 1]) for i in range(len(patches))])
    np.testing.assert_allclose(together, apart, atol=2e-4)


def test_a_batch_may_be_longer_than_the_inner_one(space, patches):
    many = np.concatenate([patches] * 7)
    np.testing.assert_allclose(space.image.features(many)[-5:], space.image.features(patches), atol=2e-4)


def test_no_patches_give_no_vectors(space, patches):
    assert space.image.encode(patches[:0]).shape == (0, space.card.dim)


@pytest.mark.parametrize(
    "spoil", [lambda p: p[:, :-1], lambda p: p[0], lambda p: p.astype(np.float32), lambda p: p[..., :1]]
)
def test_patches_of_another_shape_are_refused(space, patches, spoil):
    side = space.image.patch.side_px
    with pytest.raises(PatchError, match=str(side)):
        space.image.encode(spoil(patches))


def test_features_of_another_length_are_refused(space):
    with pytest.raises(PatchError, match="expected"):
        space.image.project(np.zeros((2, 7), dtype=np.float32))


@pytest.mark.parametrize("by_section", [True, False])
def test_profile_vectors_are_units(space, counts, by_section):
    encoding = space.expression.encode_counts(counts, space.expression.genes, by_section=by_section)
    assert_unit_vectors(encoding.vectors, counts.shape[0], space)
    assert set(encoding.genes.used) == set(space.expression.genes)
    assert encoding.genes.unknown == ()


def test_profiles_encode_the_same_twice_and_alone(space, counts):
    genes = space.expression.genes
    together = space.expression.encode_counts(counts, genes).vectors
    np.testing.assert_array_equal(together, space.expression.encode_counts(counts, genes).vectors)
    alone = np.concatenate([space.expression.encode_counts(row, genes).vectors for row in counts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_profiles_do_not_depend_on_the_order_of_genes(space, counts):
    order = np.random.default_rng(6).permutation(counts.shape[1])
    genes = space.expression.genes
    shuffled = space.expression.encode_counts(counts[:, order], [genes[i] for i in order])
    np.testing.assert_allclose(shuffled.vectors, space.expression.encode_counts(counts, genes).vectors, atol=1e-5)


def test_no_profiles_give_no_vectors(space, counts):
    for by_section in (True, False):
        encoding = space.expression.encode_counts(counts[:0], space.expression.genes, by_section=by_section)
        assert encoding.vectors.shape == (0, space.card.dim)
        assert encoding.vectors.dtype == np.float32


def test_columns_without_a_symbol_each_are_refused(space, counts):
    with pytest.raises(GeneQueryError, match="columns"):
        space.expression.encode_counts(counts, space.expression.genes[:-1])


def test_lists_and_sentences_are_units(space):
    symbols = space.expression.genes[:5]
    assert_unit_vectors(space.expression.encode_list(WeightedGenes(symbols, (1.0,) * 5)).vectors, 1, space)
    assert_unit_vectors(space.expression.encode_sentence(GeneSentence(symbols, "typed")).vectors, 1, space)


def test_a_negative_weight_points_the_other_way(space):
    symbol = space.expression.genes[0]
    up = space.expression.encode_list(WeightedGenes((symbol,), (2.0,))).vectors
    down = space.expression.encode_list(WeightedGenes((symbol,), (-1.0,))).vectors
    np.testing.assert_allclose(up, -down, atol=1e-6)


def test_the_null_covers_every_direction(space):
    calibration = space.card.calibration
    assert calibration.n_pairs > 10_000
    assert list(calibration.probabilities) == sorted(calibration.probabilities)
    for query in ("image", "expression", "genes", "sentence"):
        for target in ("image", "expression"):
            quantiles = calibration.quantiles[f"{query}->{target}"]
            assert len(quantiles) == len(calibration.probabilities)
            assert -1.001 <= quantiles[0] <= quantiles[-1] <= 1.001
            assert list(quantiles) == sorted(quantiles)
