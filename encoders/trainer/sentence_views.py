"""Sentence features of paired sections as the side of an alignment, kept on disk by their digest."""

import hashlib
from collections.abc import Sequence

import numpy as np

from encoders.contracts import Floats
from encoders.sections import ExpressionSection
from encoders.sentence_encoder import SentenceEncoder
from encoders.sentences import SentenceRecipe, sentences_of
from encoders.trainer.feature_cache import FeatureCache


def sentence_features(
    texts: SentenceEncoder, sections: Sequence[ExpressionSection], *, cache: FeatureCache
) -> list[Floats]:
    """Unit vectors of every spot's sentence, one array `float32 (n, dim)` a section.

    Raises
    ------
    GeneQueryError
        If the recipe leaves no gene, or a value is not finite.
    WeightsMissingError, CheckpointError
        If the text tower cannot be read.
    """
    return [_features(texts, section, cache) for section in sections]


def _features(texts: SentenceEncoder, section: ExpressionSection, cache: FeatureCache) -> Floats:
    key = _key(texts, section)
    return cache.features(
        key, section.counts.shape[0], lambda: np.asarray(texts.encode_counts(section.counts, section.genes).vectors)
    )


def _key(texts: SentenceEncoder, section: ExpressionSection) -> str:
    recipe: SentenceRecipe = texts.recipe
    written = "\n".join(map(str, sentences_of(section.counts, section.genes, recipe=recipe)))
    return hashlib.sha256(f"{texts.info.name}\n{texts.info.weights_sha256}\n{written}".encode()).hexdigest()
