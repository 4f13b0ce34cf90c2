"""A small world with known answers: three hidden traits of a spot show in its colours and in its genes."""

import numpy as np
import pytest
import scipy.sparse as sp

from encoders.recipe import Recipe
from encoders.sections import ExpressionSection, PairedSection
from encoders.training import align

SIDE_PX = 16
GENES = tuple(f"GENE{i}" for i in range(60))
_TRAITS = 3


class BlockMeans:
    """A backbone without torch: mean colour of each of 4 x 4 blocks, 48 features."""

    name = "block means"
    feature_dim = 48
    weights_sha256 = "none"

    def features(self, patches):
        n, side = patches.shape[:2]
        blocks = patches.reshape(n, 4, side // 4, 4, side // 4, 3).mean(axis=(2, 4))
        return blocks.reshape(n, self.feature_dim).astype(np.float32)


def _section(slide, patient, *, n_spots=60, genes=GENES):
    rng = np.random.default_rng(sum(map(ord, slide)))
    loadings = np.random.default_rng(0)
    traits = rng.normal(size=(n_spots, _TRAITS))
    colours = traits @ loadings.normal(size=(_TRAITS, 48)) * 12 + 128 + rng.normal(scale=3, size=(n_spots, 48))
    blocks = np.clip(colours, 0, 255).reshape(n_spots, 4, 4, 3)
    patches = np.kron(blocks, np.ones((1, SIDE_PX // 4, SIDE_PX // 4, 1))).astype(np.uint8)
    rates = np.exp(traits @ loadings.normal(size=(_TRAITS, len(genes))) * 0.6 + 1)
    return PairedSection(slide, patient, patches, sp.csr_matrix(rng.poisson(rates).astype(np.float32)), genes)


@pytest.fixture(scope="session")
def make_section():
    """`make_section(slide, patient, n_spots=...)`: a paired section of the small world."""
    return _section


@pytest.fixture(scope="session")
def backbone():
    return BlockMeans()


@pytest.fixture(scope="session")
def small_recipe():
    return Recipe(
        n_genes=40,
        image_components=6,
        expression_components=6,
        dim=3,
        n_ranks=30,
        orientations=1,  # the colours of its blocks depend on how a patch lies
        n_null_pairs=2_000,
        side_um=10.0,
        side_px=SIDE_PX,
        name="small",
    )


@pytest.fixture(scope="session")
def paired():
    return [_section("S1", "P1"), _section("S2", "P1")]


@pytest.fixture(scope="session")
def extra():
    other = _section("S3", "P2")
    return [ExpressionSection("S3", "P2", other.counts, other.genes)]


@pytest.fixture(scope="session")
def small_space(paired, extra, small_recipe, backbone):
    return align(paired, extra, recipe=small_recipe, backbone=backbone)
