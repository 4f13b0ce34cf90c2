"""Arrays in, unit vectors out: encoder contracts, the registry of spaces, gene lists and sentences, the trainer."""

from encoders.contracts import (
    EncoderInfo,
    ExpressionEncoder,
    ExpressionEncoding,
    GeneReport,
    ImageEncoder,
    PatchSpec,
    SectionStats,
)
from encoders.gene_lists import WeightedGenes
from encoders.registry import SpaceStatus, describe_spaces, known_spaces, open_space
from encoders.sentences import GeneSentence, SentenceRecipe, sentences_of
from encoders.space import Calibration, QualityRow, Space, SpaceCard

__all__ = [
    "Calibration",
    "EncoderInfo",
    "ExpressionEncoder",
    "ExpressionEncoding",
    "GeneReport",
    "GeneSentence",
    "ImageEncoder",
    "PatchSpec",
    "QualityRow",
    "SectionStats",
    "SentenceRecipe",
    "Space",
    "SpaceCard",
    "SpaceStatus",
    "WeightedGenes",
    "describe_spaces",
    "known_spaces",
    "open_space",
    "sentences_of",
]
