"""One side of the pairs as the alignment sees it: centred, in units of each input's spread, with principal axes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from encoders.alignment import Matrix, principal_axes, ridge_cca
from encoders.contracts import Floats
from encoders.errors import TrainingError
from encoders.expression_basis import ExpressionBasis
from encoders.profiles import Profiles
from encoders.trainer.tower_recipe import Centring

_MIN_SD = 1e-6


@dataclass(frozen=True, slots=True)
class SideView:
    """One side of all paired sections.

    Attributes
    ----------
    inputs : list (views) of list (sections) of float32 (n, n_inputs)
        Centred and scaled; view 0 is the section as it is.
    axes : float64 (n_inputs, n_components)
        Principal axes.
    scale : float64 (n_inputs,)
        What an input is multiplied by; 0 for one that never varies, which says nothing.
    centre : float32 (n_inputs,)
        Mean of the sections' means, of inputs as they come.
    """

    inputs: Sequence[Sequence[Floats]]
    axes: Matrix
    scale: Matrix
    centre: Floats


def feature_view(
    features: Sequence[Sequence[Floats]],
    weights: Sequence[Matrix],
    *,
    n_components: int,
    centring: Centring,
) -> SideView:
    """Features of a tower as a side.

    Parameters
    ----------
    features : list (views) of list (sections) of float32 (n, n_inputs)
        As the tower gives them.
    weights : list (sections) of float64 (n,)
        Of each row, from `balanced_weights`.
    n_components : int
        Principal axes at most.

    Raises
    ------
    TrainingError
        If no feature varies.
    """
    centre = np.mean([f.mean(axis=0, dtype=np.float64) for f in features[0]], axis=0)
    own = centring == "section"
    centred = [[f - (f.mean(axis=0, dtype=np.float64) if own else centre) for f in sections] for sections in features]
    root = np.sqrt(np.concatenate([*weights] * len(features)))[:, None]
    X = np.concatenate([f for sections in centred for f in sections]) * root
    sd = X.std(axis=0)
    scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > _MIN_SD)
    if not scale.any():
        raise TrainingError(
            f"None of the {len(sd)} features varies within the sections; the images or the tower are not usable."
        )
    axes = principal_axes(X * scale, min(n_components, len(sd)))
    inputs = [[np.asarray(f * scale, dtype=np.float32) for f in sections] for sections in centred]
    return SideView(inputs, axes, scale, np.asarray(centre, dtype=np.float32))


def gene_view(basis: ExpressionBasis, paired: Sequence[Profiles], *, centring: Centring) -> SideView:
    """Standardised log-expression as a side."""
    inputs = []
    for profiles in paired:
        own = basis.standardise(profiles)
        if centring == "training":
            columns = {symbol: i for i, symbol in enumerate(profiles.genes)}
            mean = np.asarray(profiles.log_normalised().mean(axis=0)).ravel()[[columns[g] for g in basis.genes]]
            own = own + (mean - basis.mean) / basis.sd
        inputs.append(np.asarray(own, dtype=np.float32))
    return SideView([inputs], basis.axes, 1.0 / basis.sd, np.asarray(basis.mean, dtype=np.float32))


def balanced_weights(sizes: Sequence[int], patients: Sequence[str]) -> list[Matrix]:
    """Weights of rows that make each patient count the same, and each section of a patient; their mean is 1."""
    n_patients, total = len(set(patients)), sum(sizes)
    return [
        np.full(size, total / n_patients / patients.count(patient) / size)
        for size, patient in zip(sizes, patients, strict=True)
    ]


def closed_form(
    images: SideView,
    expression: SideView,
    weights: Sequence[Matrix],
    sections: Sequence[int],
    *,
    dim: int,
    shrinkage: float,
) -> tuple[Floats, Floats]:
    """Ridge CCA of some sections: one matrix a side, `float32 (n_components, dim)`, on the principal components.

    Every view of a patch is a row of its own beside the same transcriptome.
    """
    n_views = len(images.inputs)
    root = np.sqrt(np.concatenate([weights[i] for i in sections] * n_views))[:, None]
    X = np.concatenate([view[i] for view in images.inputs for i in sections]) @ images.axes
    Y = np.concatenate([expression.inputs[0][i] for i in sections] * n_views) @ expression.axes
    found = ridge_cca(X * root, Y * root, dim=dim, shrinkage=shrinkage)
    x, y = found.x * found.correlations, found.y * found.correlations
    return np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float32)
