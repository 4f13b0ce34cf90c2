"""Arrays in, unit vectors out: encoder contracts, the registry of spaces, gene lists and sentences, the trainer.

The registry knows every family of encoders; it is imported when it is asked for.
"""

from typing import TYPE_CHECKING

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
from encoders.sentences import GeneSentence, SentenceRecipe, sentences_of
from encoders.space import Calibration, QualityRow, Space, SpaceCard

if TYPE_CHECKING:
    from encoders.registry import SpaceStatus, describe_spaces, known_spaces, open_space

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


def __getattr__(name: str) -> object:
    if name not in {"SpaceStatus", "describe_spaces", "known_spaces", "open_space"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from encoders import registry

    return getattr(registry, name)
