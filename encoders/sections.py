"""What the trainer reads: sections with or without pictures, checked before anything is computed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from encoders.contracts import Patches
from encoders.errors import GeneQueryError, TrainingError
from encoders.profiles import Profiles

_MIN_SPOTS = 2


@dataclass(frozen=True, slots=True)
class ExpressionSection:
    """Counts of one section's spots.

    Attributes
    ----------
    slide, patient : str
        Where they come from; the null distribution and the card need it.
    counts : csr_matrix (n, n_genes)
        Raw counts over all genes of the file.
    genes : sequence of str
        Symbols of the columns.
    """

    slide: str
    patient: str
    counts: sp.csr_matrix
    genes: Sequence[str]


@dataclass(frozen=True, slots=True)
class PairedSection:
    """Patches and counts of the same spots of one section.

    Attributes
    ----------
    slide, patient : str
        Where they come from.
    patches : uint8 (n, side_px, side_px, 3)
        RGB, one round each spot's centre.
    counts : csr_matrix (n, n_genes)
        Raw counts, row i under patch i.
    genes : sequence of str
        Symbols of the columns.
    """

    slide: str
    patient: str
    patches: Patches
    counts: sp.csr_matrix
    genes: Sequence[str]

    @property
    def expression(self) -> ExpressionSection:
        """The section without its patches."""
        return ExpressionSection(self.slide, self.patient, self.counts, self.genes)


def check_paired(sections: Sequence[PairedSection]) -> None:
    """Raise `TrainingError` unless there are sections and each has one patch a row of counts."""
    if not sections:
        raise TrainingError("There are 0 paired sections; give at least one with patches and counts.")
    for section in sections:
        if len(section.patches) != section.counts.shape[0]:
            raise TrainingError(
                f"Section {section.slide} has {len(section.patches)} patches but {section.counts.shape[0]} rows of "
                f"counts; pairs must join one to one. Drop spots that lack either."
            )


def read_profiles(sections: Sequence[ExpressionSection]) -> list[Profiles]:
    """Checked counts of each section.

    Raises
    ------
    TrainingError
        If counts are not usable, a spot has none, or a section has fewer than two spots.
    """
    return [_read_one(section) for section in sections]


def _read_one(section: ExpressionSection) -> Profiles:
    if section.counts.shape[0] < _MIN_SPOTS:
        raise TrainingError(
            f"Section {section.slide} has {section.counts.shape[0]} spots; centring it needs at least {_MIN_SPOTS}."
        )
    try:
        profiles = Profiles.read(section.counts, section.genes)
    except GeneQueryError as error:
        raise TrainingError(f"Section {section.slide} cannot be trained on. {error}") from error
    empty = np.flatnonzero(~profiles.has_counts())
    if len(empty):
        raise TrainingError(
            f"Section {section.slide} has {len(empty)} spots without counts (row {empty[0]} is the first); drop them."
        )
    return profiles
