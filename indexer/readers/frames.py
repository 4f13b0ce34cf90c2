"""Coordinate transformations of OME-NGFF as SpatialData writes them, as matrices over `(x, y, 1)`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.errors import JoinError

Matrix = npt.NDArray[np.float64]


def to_systems(transformations: Sequence[Mapping[str, Any]], where: str) -> dict[str, Matrix]:
    """Matrix `(3, 3)` from an element's own coordinates into each coordinate system that it is placed in.

    Raises
    ------
    JoinError
        If a transformation is of an unknown kind, or does not map x and y to x and y.
    """
    try:
        return {str(one["output"]["name"]): _matrix(one, _axes(one), where) for one in transformations}
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise JoinError(f"{where} has a transformation that cannot be read ({error!r}); write it again.") from error


def moved(matrix: Matrix, xy: Matrix) -> Matrix:
    """Points `(n, 2)` through a matrix."""
    return np.column_stack([xy, np.ones(len(xy))]) @ matrix[:2].T


def _axes(one: Mapping[str, Any]) -> list[str]:
    return [str(axis["name"]) for axis in one["input"]["axes"]] if "input" in one else ["x", "y"]


def _matrix(one: Mapping[str, Any], axes: list[str], where: str) -> Matrix:
    kind = one["type"]
    made = np.eye(3)
    place = [axes.index("x"), axes.index("y")]
    if kind == "identity":
        return made
    if kind == "scale":
        made[[0, 1], [0, 1]] = np.asarray(one["scale"], dtype=np.float64)[place]
        return made
    if kind == "translation":
        made[:2, 2] = np.asarray(one["translation"], dtype=np.float64)[place]
        return made
    if kind == "affine":
        outputs = [str(axis["name"]) for axis in one["output"]["axes"]] if "output" in one else axes
        full = np.asarray(one["affine"], dtype=np.float64)
        rows = [outputs.index("x"), outputs.index("y")]
        made[:2] = full[rows][:, [*place, full.shape[1] - 1]]
        return made
    if kind == "sequence":
        for step in one["transformations"]:
            made = _matrix(step, _axes(step) if "input" in step else axes, where) @ made
        return made
    raise JoinError(
        f"{where} has a transformation of the kind {kind!r}; expected identity, scale, translation, affine or sequence."
    )
