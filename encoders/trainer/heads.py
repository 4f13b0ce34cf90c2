"""The learned map of one side: a matrix, with a hidden layer added where asked; NumPy for search, torch for training.

With the hidden layer: `x A + relu(norm(x B + b)) C`, where `norm` is layer normalisation (Ba et al., 2016). `C` starts
at zero, so that training by contrast starts at the closed-form solution `A`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from encoders.alignment import Matrix
from encoders.contracts import Floats

_EPSILON = 1e-5
HIDDEN_PARTS = ("hidden", "hidden_bias", "norm_gain", "norm_bias", "out")


@dataclass(frozen=True, slots=True)
class Head:
    """Centred inputs `(n, n_inputs)` to places in the space `(n, dim)`, `float32`; the hidden layer may be missing.

    Attributes
    ----------
    linear : (n_inputs, dim)
    hidden, hidden_bias : (n_inputs, n_hidden), (n_hidden,)
    norm_gain, norm_bias : (n_hidden,)
    out : (n_hidden, dim)
    """

    linear: Floats
    hidden: Floats | None = None
    hidden_bias: Floats | None = None
    norm_gain: Floats | None = None
    norm_bias: Floats | None = None
    out: Floats | None = None

    @property
    def dim(self) -> int:
        """Dimensions of the space."""
        return int(self.linear.shape[1])

    def place(self, inputs: Any, centre: Floats, rows: Any = slice(None)) -> Floats:
        """Places of inputs before scaling to unit length, `float32 (n, dim)`.

        Parameters
        ----------
        inputs : float (n, m), dense or sparse
            Not centred; columns are the inputs `rows`.
        centre : float (m,)
            Taken off, without making sparse inputs dense.
        rows : index of (n_inputs,)
            Which inputs the columns are; the others are as the centre.
        """
        linear = self.linear[rows]
        placed = np.asarray(inputs @ linear) - centre @ linear
        if self.hidden is not None:
            hidden = self.hidden[rows]
            before = np.asarray(inputs @ hidden) - centre @ hidden + self.hidden_bias
            deviation = before - before.mean(axis=1, keepdims=True)
            normal = deviation / np.sqrt(np.square(deviation).mean(axis=1, keepdims=True) + _EPSILON)
            placed = placed + np.maximum(normal * self.norm_gain + self.norm_bias, 0) @ self.out
        return np.asarray(placed, dtype=np.float32)

    def arrays(self, prefix: str) -> dict[str, Floats]:
        """Its arrays by name, for a file."""
        return {
            f"{prefix}.{part.name}": getattr(self, part.name)
            for part in fields(self)
            if getattr(self, part.name) is not None
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Floats], prefix: str) -> "Head":
        """Inverse of `arrays`; raises `KeyError` if the matrix is not there."""
        parts = {part.name: arrays.get(f"{prefix}.{part.name}") for part in fields(cls)}
        return cls(**{**parts, "linear": arrays[f"{prefix}.linear"]})  # type: ignore[arg-type]  # names are checked


def hidden_start(n_inputs: int, n_hidden: int, dim: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Hidden layer before training: random directions, no effect yet."""
    spread = 1.0 / np.sqrt(n_inputs)
    start = {
        "hidden": rng.normal(scale=spread, size=(n_inputs, n_hidden)),
        "hidden_bias": np.zeros(n_hidden),
        "norm_gain": np.ones(n_hidden),
        "norm_bias": np.zeros(n_hidden),
        "out": np.zeros((n_hidden, dim)),
    }
    return {name: np.asarray(values, dtype=np.float32) for name, values in start.items()}


def place_in_training(inputs: Any, axes: Any, parameters: Mapping[str, Any]) -> Any:
    """Unit vectors `(n, dim)` of scaled, centred inputs, as tensors; `axes (n_inputs, n_components)` are fixed."""
    from torch.nn.functional import layer_norm, normalize, relu

    placed = inputs @ axes @ parameters["linear"]
    if "hidden" in parameters:
        before = inputs @ parameters["hidden"] + parameters["hidden_bias"]
        normal = layer_norm(before, before.shape[1:], parameters["norm_gain"], parameters["norm_bias"], _EPSILON)
        placed = placed + relu(normal) @ parameters["out"]
    return normalize(placed, dim=1)


def folded(parameters: Mapping[str, Floats], axes: Matrix, scale: Matrix) -> Head:
    """The head on inputs as they come: principal axes and the scale of each input `(n_inputs,)` multiplied in."""
    inner = {name: np.asarray(parameters[name], dtype=np.float32) for name in HIDDEN_PARTS if name in parameters}
    if inner:
        inner["hidden"] = np.asarray(scale[:, None] * inner["hidden"], dtype=np.float32)
    linear = scale[:, None] * (axes @ np.asarray(parameters["linear"], dtype=np.float64))
    return Head(linear=np.asarray(linear, dtype=np.float32), **inner)
