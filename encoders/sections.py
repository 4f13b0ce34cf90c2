"""What the trainer reads: sections with patches, with features made elsewhere, or with counts alone; checked first."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from encoders.contracts import Floats, Patches
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


@dataclass(frozen=True, slots=True)
class FeatureSection:
    """Image features made elsewhere and counts of the same spots of one section.

    Attributes
    ----------
    slide, patient : str
        Where they come from.
    features : float32 (n, feature_dim)
        As made, not normalised; row i is of the patch round spot i.
    encoder : str
        What made them, by its name in `encoders.catalogue` where that has it. A space trained on them names it on its
        card (`recipe["image_tower"]`) and takes no features of another.
    counts : csr_matrix (n, n_genes)
        Raw counts, row i under features i.
    genes : sequence of str
        Symbols of the columns.
    """

    slide: str
    patient: str
    features: Floats
    encoder: str
    counts: sp.csr_matrix
    genes: Sequence[str]

    @property
    def expression(self) -> ExpressionSection:
        """The section without its features."""
        return ExpressionSection(self.slide, self.patient, self.counts, self.genes)


def check_paired(sections: Sequence[PairedSection | FeatureSection]) -> None:
    """Raise `TrainingError` unless there are sections and each has one patch or feature vector a row of counts."""
    if not sections:
        raise TrainingError("There are 0 paired sections; give at least one with patches and counts.")
    for section in sections:
        seen, what = (
            (section.features, "feature vectors")
            if isinstance(section, FeatureSection)
            else (section.patches, "patches")
        )
        if len(seen) != section.counts.shape[0]:
            raise TrainingError(
                f"Section {section.slide} has {len(seen)} {what} but {section.counts.shape[0]} rows of "
                f"counts; pairs must join one to one. Drop spots that lack either."
            )


def check_features(sections: Sequence[FeatureSection]) -> None:
    """Raise `TrainingError` unless all features are finite and of one encoder and length, as `check_paired` cannot say.

    A feature vector of another encoder would be projected without a complaint and mean nothing.
    """
    for section in sections:
        first = sections[0]
        if section.encoder != first.encoder:
            raise TrainingError(
                f"Features of section {section.slide} are of {section.encoder!r}, those of {first.slide} of "
                f"{first.encoder!r}; train on features of one encoder."
            )
        if section.features.ndim != 2 or section.features.shape[1:] != first.features.shape[1:]:
            raise TrainingError(
                f"Features of section {section.slide} have the shape {section.features.shape}, those of {first.slide} "
                f"{first.features.shape}; expected (n, dim) with one dim."
            )
        bad = np.flatnonzero(~np.isfinite(section.features).all(axis=1))
        if len(bad):
            raise TrainingError(
                f"{len(bad)} of {len(section.features)} feature vectors of section {section.slide} hold NaN or "
                f"infinite values (row {bad[0]} is the first); make the features again, or drop those spots."
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
