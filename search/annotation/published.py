"""The published formulas of Loki Annotate, for any number of images at once (Chen et al., Nat Methods 2025)."""

import numpy as np

from encoders.contracts import Vectors
from search.profiles import Doubles


def marker_probabilities(images: Vectors, classes: Vectors) -> Doubles:
    """Softmax over the classes of the cosine of each image with each class, float64 `(n, n_classes)`.

    The published code takes one argmax over all images and classes, which is right for one image only; here each row
    is one image.
    """
    return softmax(_unit(images) @ _unit(classes).T, axis=1)


def bulk_over_tiles(images: Vectors, bulk: Vectors, *, temperature: float = 1.0) -> Doubles:
    """The published `tensor=True`: softmax over the tiles of cosine / sqrt(dim) / temperature; columns sum to 1."""
    cosines = _unit(images) @ _unit(bulk).T
    return softmax(cosines / np.sqrt(images.shape[1]) / temperature, axis=0)


def bulk_scaled(images: Vectors, bulk: Vectors) -> Doubles:
    """The published `tensor=False`: softmax over the tiles of the plain product, then min-max to [0, 1].

    Where all tiles are alike, the published code divides 0 by 0; here they are 0.
    """
    shares = softmax(images.astype(np.float64) @ bulk.astype(np.float64).T, axis=0)
    low, span = shares.min(axis=0), np.ptp(shares, axis=0)
    scaled: Doubles = np.divide(shares - low, span, out=np.zeros_like(shares), where=span > 0)
    return scaled


def softmax(values: Doubles, axis: int) -> Doubles:
    """Exponentials that sum to 1 along an axis."""
    raised = np.exp(values - values.max(axis=axis, keepdims=True))
    return np.asarray(raised / raised.sum(axis=axis, keepdims=True))


def _unit(vectors: Vectors) -> Doubles:
    wide = vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    unit: Doubles = np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)
    return unit
