"""From features and expression of paired spots to one matrix a side: scaling, principal axes, alignment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from encoders.alignment import Matrix, principal_axes, ridge_cca
from encoders.contracts import Floats, Patches
from encoders.expression_basis import ExpressionBasis
from encoders.recipe import Recipe

_MIN_FEATURE_SD = 1e-6
#: A patch has no upright position: as it is, upside down, mirrored, a quarter turn, and these once more turned.
_ORIENTATIONS: tuple[Callable[[Patches], Patches], ...] = (
    lambda p: p,
    lambda p: p[:, ::-1],
    lambda p: p[:, :, ::-1],
    lambda p: np.rot90(p, 1, (1, 2)),
    lambda p: p[:, ::-1, ::-1],
    lambda p: np.rot90(p, 3, (1, 2)),
    lambda p: np.rot90(p[:, ::-1], 1, (1, 2)),
    lambda p: np.rot90(p[:, ::-1], 3, (1, 2)),
)


@dataclass(frozen=True, slots=True)
class PairedViews:
    """Both views of the paired sections.

    Attributes
    ----------
    features : list (orientations) of list (sections) of float32 (n, feature_dim)
        Image features; orientation 0 is the patch as it lies.
    expression : list (sections) of float64 (n, n_genes)
        Standardised log-expression, centred by section.
    patients : list of str
        One a section.
    """

    features: Sequence[Sequence[Floats]]
    expression: Sequence[Matrix]
    patients: Sequence[str]


def oriented(patches: Patches, number: int) -> Patches:
    """Patches `(n, side, side, 3)` in the orientation of that number, 0 (as they are) to 7."""
    return np.ascontiguousarray(_ORIENTATIONS[number](patches))


def projections(
    views: PairedViews,
    basis: ExpressionBasis,
    recipe: Recipe,
    *,
    checkpoint: Path | None = None,
    on_epoch: Callable[[int, int], None] | None = None,
) -> dict[str, Floats]:
    """Learned matrices of both sides: `image_projection (feature_dim, dim)`, `expression_projection (n_genes, dim)`.

    Every orientation of a patch is a row of its own beside the same transcriptome, so that what depends on how the
    section lay on the slide is no use to the alignment.

    Raises
    ------
    TrainingError
        If a loss other than `cca` is asked for and cannot be trained (`contrastive`).
    """
    centred = [[f - f.mean(axis=0, dtype=np.float64) for f in sections] for sections in views.features]
    X = np.concatenate([f for sections in centred for f in sections])
    sd = X.std(axis=0)
    # A feature that never varies in training says nothing: it gets no weight.
    scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > _MIN_FEATURE_SD)
    X *= scale
    image_axes = principal_axes(X, recipe.image_components)
    if recipe.loss == "cca":
        Y = np.concatenate(views.expression) @ basis.axes
        directions = ridge_cca(
            X @ image_axes, np.tile(Y, (len(centred), 1)), dim=recipe.dim, shrinkage=recipe.shrinkage
        )
        x, y = directions.x * directions.correlations, directions.y * directions.correlations
    else:
        from encoders.contrastive import HeadInput, fit_heads

        reduced = [[(f * scale) @ image_axes for f in sections] for sections in centred]
        heads = HeadInput(reduced, views.expression, basis.axes, views.patients)
        x, y = fit_heads(heads, recipe, checkpoint=checkpoint, on_epoch=on_epoch)
    return {
        "image_projection": np.asarray(scale[:, None] * (image_axes @ x), dtype=np.float32),
        "expression_projection": np.asarray(basis.axes @ y, dtype=np.float32),
    }
