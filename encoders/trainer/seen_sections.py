"""A paired section once its image side has been turned into features: what heads are fitted on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from encoders.contracts import Floats, Patches
from encoders.sections import ExpressionSection, FeatureSection, PairedSection, check_features, check_paired
from encoders.stain import measure_stain, move_stain
from encoders.trainer.augmentation import view_of
from encoders.trainer.feature_cache import FeatureCache, key_of
from encoders.trainer.image_towers import ImageTower, check_finite
from encoders.trainer.tower_recipe import TowerRecipe
from encoders.training import STAIN_TARGET


@dataclass(frozen=True, slots=True)
class SeenSection:
    """Features and counts of the same spots of one section.

    Attributes
    ----------
    slide, patient : str
        Where they come from.
    views : list of float32 (n, feature_dim)
        Features of each view of the patches; view 0 is the patch as it lies.
    counts : csr_matrix (n, n_genes)
        Raw counts.
    genes : sequence of str
        Symbols of the columns.
    stain : float32 (2, 3) or None
        Stain of the section; `None` for features made elsewhere.
    patches : uint8 (n, side_px, side_px, 3) or None
        Kept, moved to the common stain, where the tower is to be tuned.
    """

    slide: str
    patient: str
    views: Sequence[Floats]
    counts: sp.csr_matrix
    genes: Sequence[str]
    stain: Floats | None = None
    patches: Patches | None = None

    @property
    def expression(self) -> ExpressionSection:
        """The section without its image side."""
        return ExpressionSection(self.slide, self.patient, self.counts, self.genes)


def see(section: PairedSection, tower: ImageTower, recipe: TowerRecipe, *, cache: FeatureCache) -> SeenSection:
    """Encode the patches of a section in all its views.

    Raises
    ------
    TrainingError, PatchError
        If patches and counts do not join, or the patches are not those the tower takes.
    EncoderError
        If the tower cannot be opened, or gives features that are not finite.
    """
    check_paired([section])
    tower.patch.check(section.patches)
    stain = measure_stain(section.patches)
    patches = section.patches
    if recipe.normalise_stain:
        patches = move_stain(patches, stain=stain, target=STAIN_TARGET)
    # A tower that is tuned sees other views in every epoch; its start is measured on the patches as they lie.
    numbers = range(1 if recipe.fine_tune else recipe.orientations)
    views = [_view(patches, number, tower, recipe, cache) for number in numbers]
    for features in views:
        check_finite(features, tower=tower.name, slide=section.slide)
    return SeenSection(
        slide=section.slide,
        patient=section.patient,
        views=views,
        counts=section.counts,
        genes=section.genes,
        stain=stain,
        patches=patches if recipe.fine_tune else None,
    )


def see_features(sections: Sequence[FeatureSection]) -> list[SeenSection]:
    """Sections whose features were made elsewhere; raises `TrainingError` if they do not fit together."""
    check_paired(sections)
    check_features(sections)
    return [
        SeenSection(s.slide, s.patient, [np.asarray(s.features, dtype=np.float32)], s.counts, s.genes) for s in sections
    ]


def _view(patches: Patches, number: int, tower: ImageTower, recipe: TowerRecipe, cache: FeatureCache) -> Floats:
    jitter = recipe.stain_jitter if number else 0.0
    drawn = f"{jitter} {recipe.seed}" if jitter else "none"
    key = key_of(patches, tower.name, tower.weights_sha256, f"view {number}", f"stain jitter {drawn}")
    return cache.features(
        key,
        len(patches),
        lambda: tower.features(view_of(patches, number, stain_jitter=recipe.stain_jitter, seed=recipe.seed)),
    )
