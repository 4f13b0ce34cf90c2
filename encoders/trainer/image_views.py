"""Batches of image inputs from features that are kept."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from encoders.trainer.fitting import Plan
from encoders.trainer.views import SideView


class KeptImages:
    """Image inputs of frozen towers: each batch takes one of the views of its patches."""

    def __init__(self, view: SideView, *, device: str = "cpu") -> None:
        import torch

        self._view, self._device = view, device
        self._inputs = [[torch.from_numpy(x) for x in sections] for sections in view.inputs]

    def tower_parameters(self) -> dict[str, Any]:
        """None: the tower is frozen."""
        return {}

    def begin(self, epoch: int) -> None:
        """Nothing changes from epoch to epoch."""

    def batches(self, plan: Plan, epoch: int, rng: np.random.Generator) -> Iterator[Any]:  # noqa: ARG002 (the protocol's)
        """Inputs of each batch, each in one view drawn for it."""
        import torch

        for batch in plan:
            sections = self._inputs[int(rng.integers(len(self._inputs)))]
            yield torch.cat([sections[number][rows] for number, rows in batch]).to(self._device)

    def whole(self, section: int) -> Any:
        """Inputs of a section as it lies."""
        return self._inputs[0][section].to(self._device)

    def digest(self) -> str:
        """Of all views."""
        digest = hashlib.sha256()
        for sections in self._view.inputs:
            for inputs in sections:
                digest.update(np.ascontiguousarray(inputs).data)
        return digest.hexdigest()
