"""her2st read once for several trainings: sections, and image features that are not computed twice."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from encoders.backbones import Backbone
from encoders.contracts import Floats, Patches
from encoders.recipe import Recipe
from encoders.sections import ExpressionSection, PairedSection
from encoders.space import Space
from encoders.training import align
from indexer.datasets.manifest import load_manifest
from indexer.pairs import read_pairs, read_transcriptomes
from indexer.slides import SlideSource
from indexer.sources import open_sources
from search.quality.evaluation import colour_baseline, encode_as_indexed
from search.quality.retrieval_quality import PairedVectors
from search.training.run import MINI_DATA

_N_NULL_PAIRS = 1_000


@dataclass(frozen=True, slots=True)
class Section:
    """One section: counts of its spots, and their patches, places and labels where it has them.

    Attributes
    ----------
    expression : ExpressionSection
        Spots with at least one count.
    pairs : PairedSection or None
        The same spots with patches.
    xy_px : float64 (n, 2) or None
        Centres in level-0 pixels.
    labels : object (n,) of (str or None)
        The pathologist's region.
    """

    expression: ExpressionSection
    pairs: PairedSection | None
    xy_px: npt.NDArray[np.float64] | None
    labels: npt.NDArray[np.object_]


class RememberedFeatures:
    """A backbone that computes the features of a batch of patches once."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._known: dict[str, Floats] = {}

    @property
    def name(self) -> str:
        """Name of the backbone."""
        return self._backbone.name

    @property
    def feature_dim(self) -> int:
        """Number of features."""
        return self._backbone.feature_dim

    @property
    def weights_sha256(self) -> str:
        """Digest of the backbone's weights."""
        return self._backbone.weights_sha256

    def features(self, patches: Patches) -> Floats:
        """Features `float32 (n, feature_dim)` of RGB uint8 patches."""
        key = hashlib.sha256(np.ascontiguousarray(patches).tobytes()).hexdigest()
        if key not in self._known:
            self._known[key] = self._backbone.features(patches)
        return self._known[key]


def read_sections(recipe: Recipe, *, slides: Sequence[str] | None = None) -> list[Section]:
    """Read every section of her2st, or some; those with an image become pairs."""
    return [_read(source, recipe) for source in open_sources(MINI_DATA, manifest=load_manifest(), slides=slides)]


def train(sections: Collection[Section], held_out: str, recipe: Recipe, backbone: Backbone) -> Space:
    """Align all pairs but those of the held-out patient, whose expression is used for nothing either."""
    return align(*_training(sections, held_out), recipe=recipe, backbone=backbone)


def without_null(recipe: Recipe) -> Recipe:
    """The recipe with a null of few pairs, where p-values are not asked for; weights and vectors stay the same."""
    return replace(recipe, n_null_pairs=_N_NULL_PAIRS)


def train_colour(sections: Collection[Section], held_out: str, recipe: Recipe) -> Space:
    """Train the same with six colour numbers instead of the backbone."""
    return colour_baseline(*_training(sections, held_out), without_null(recipe))


def paired_vectors(space: Space, section: Section) -> PairedVectors:
    """Both vectors of a section, as an index of it would hold them; raises `ValueError` if it has no image."""
    if section.pairs is None:
        raise ValueError(f"Section {section.expression.slide} has no image.")
    images, expression = encode_as_indexed(space, section.pairs)
    facts = section.expression
    return PairedVectors(facts.slide, facts.patient, images, expression, xy_px=section.xy_px)


def on_genes(section: ExpressionSection, genes: list[str]) -> sp.csr_matrix:
    """Counts of a section in a given order of genes, all of which it has."""
    place = {symbol: column for column, symbol in enumerate(section.genes)}
    return sp.csr_matrix(section.counts[:, [place[symbol] for symbol in genes]])


def shared_genes(sections: Collection[ExpressionSection]) -> list[str]:
    """Genes that every section has, sorted."""
    return sorted(set.intersection(*(set(section.genes) for section in sections)))


def _training(sections: Collection[Section], held_out: str) -> tuple[list[PairedSection], list[ExpressionSection]]:
    kept = [section for section in sections if section.expression.patient != held_out]
    return (
        [section.pairs for section in kept if section.pairs is not None],
        [section.expression for section in kept if section.pairs is None],
    )


def _read(source: SlideSource, recipe: Recipe) -> Section:
    read = source.read_expression()
    if read is None:
        raise ValueError(f"Section {source.facts.slide} has no counts.")
    filled = np.asarray(read.counts.sum(axis=1)).ravel() > 0
    labels = np.array(read.labels if read.labels is not None else [None] * len(filled), dtype=object)[filled]
    xy = None if read.xy_px is None else read.xy_px[filled]
    pairs = None if source.image_path is None else read_pairs(source, recipe.patch)
    return Section(read_transcriptomes(source) if pairs is None else pairs.expression, pairs, xy, labels)
