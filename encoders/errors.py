"""Errors of HistoSeek, drawn once.

HistoSeekError                     the root: everything a user can mend
├── EncoderError                   this module
│   ├── UnknownSpaceError          no space of that name; lists the known ones
│   ├── WeightsMissingError        which file, from where, under which licence
│   ├── CheckpointError          a weights file is damaged, holds more than tensors, or is of another model
│   ├── PackageMissingError      an optional package is not installed; names the extra
│   ├── UnknownEncoderError      no encoder of that name; lists the known ones
│   ├── SpaceMismatchError         an index or vector belongs to another space or revision
│   ├── PatchError                 pixels of the wrong shape, dtype or resolution
│   ├── GeneQueryError             an empty, malformed or entirely unknown gene query
│   └── TrainingError              pairs that cannot be aligned
├── DataError                      indexer.errors: manifests, downloads, slides, counts
├── StoreError                     indexer.errors: indexes on disk
└── QueryError                     search.errors: filters, k, items that are not there

Each message names the value, what was expected, and the next step.
"""


class HistoSeekError(Exception):
    """Root of every error that the caller can act on."""


class EncoderError(HistoSeekError):
    """An encoder or a space cannot do what was asked."""


class UnknownSpaceError(EncoderError):
    """No space has that name."""


class WeightsMissingError(EncoderError):
    """Weights are not on this machine."""


class CheckpointError(EncoderError):
    """A weights file is damaged, holds more than tensors, or belongs to another model."""


class PackageMissingError(EncoderError):
    """An optional package is not installed."""


class UnknownEncoderError(EncoderError):
    """No encoder has that name."""


class SpaceMismatchError(EncoderError):
    """Two vectors, or a vector and an index, belong to different spaces or revisions."""


class PatchError(EncoderError):
    """Pixels do not have the shape, dtype or resolution that the encoder declares."""


class GeneQueryError(EncoderError):
    """A gene list, gene sentence or profile cannot be encoded."""


class TrainingError(EncoderError):
    """The given pairs cannot be aligned."""
