"""Image inputs from a tower that is trained with the heads: patches prepared by workers, run in bfloat16 where asked.

Normalisation layers keep the statistics they came with, and there is no dropout: the tower runs in evaluation mode with
gradients, so what it gives does not depend on the batch.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from encoders.alignment import Matrix
from encoders.catalogue import Colour
from encoders.contracts import Floats, Patches
from encoders.errors import TrainingError
from encoders.trainer.augmentation import random_view
from encoders.trainer.fitting import Plan
from encoders.trainer.image_towers import ImageTower
from encoders.trainer.tower_recipe import TowerRecipe

_SAMPLE = 128  # patches a section's centre is measured on between epochs
_BATCH = 32


class TrainableTower:
    """A torch module with the way its pixels are scaled.

    Parameters
    ----------
    module : torch module
        What is trained.
    forward : callable
        Scaled images `(n, 3, side, side)` to features; the module, or a pooling round it.
    mean, std : tuple of float
        Normalisation of RGB in [0, 1].
    """

    def __init__(self, module: Any, forward: Callable[[Any], Any], *, mean: Colour, std: Colour, device: str) -> None:
        import torch

        self.module = module.eval().to(device).requires_grad_(requires_grad=True)
        self.device = device
        self._forward = forward
        self._mean, self._std = (torch.tensor(colour, device=device).view(3, 1, 1) for colour in (mean, std))

    def __call__(self, pixels: Any, *, bf16: bool) -> Any:
        """Features `float32 (n, feature_dim)` of RGB uint8 pixels `(n, side, side, 3)`, with gradients."""
        import torch

        images = (pixels.to(self.device).permute(0, 3, 1, 2).float().div(255) - self._mean) / self._std
        with torch.autocast(self.device.split(":", maxsplit=1)[0], dtype=torch.bfloat16, enabled=bf16):
            return self._forward(images).float()

    def features(self, patches: Patches, *, bf16: bool = False) -> Floats:
        """The same without gradients, as an array, in small batches."""
        import torch

        with torch.no_grad():
            parts = [
                self(torch.from_numpy(np.ascontiguousarray(patches[start : start + _BATCH])), bf16=bf16).cpu().numpy()
                for start in range(0, len(patches), _BATCH)
            ]
        return np.concatenate(parts)


class TunedTower:
    """A tower after its tuning, under the name of the one it was tuned from."""

    def __init__(self, tower: ImageTower, trained: TrainableTower) -> None:
        self.name, self.licence, self.patch = tower.name, tower.licence, tower.patch
        self.weights_sha256, self.feature_dim = tower.weights_sha256, tower.feature_dim
        self.trained = trained

    def features(self, patches: Patches) -> Floats:
        """Features of patches, in float32."""
        self.patch.check(patches)
        return self.trained.features(patches)


class TunedImages:
    """Image inputs of a tower that changes.

    Parameters
    ----------
    patches : list (sections) of uint8 (n, side, side, 3)
        Moved to the common stain where the recipe asks for it.
    scale : float64 (feature_dim,)
        What a centred feature is multiplied by.
    """

    def __init__(self, tower: TrainableTower, patches: Sequence[Patches], scale: Matrix, recipe: TowerRecipe) -> None:
        import torch

        self._tower, self._patches, self._recipe = tower, patches, recipe
        self._scale = torch.from_numpy(np.asarray(scale, dtype=np.float32)).to(tower.device)
        self._centres: list[Any] = []

    def tower_parameters(self) -> dict[str, Any]:
        """All parameters of the module."""
        return dict(self._tower.module.named_parameters())

    def begin(self, epoch: int) -> None:  # noqa: ARG002 (the protocol's)
        """Measure where the sections now lie: the tower has moved them."""
        import torch

        means = [
            self._tower.features(p[_spread(len(p))], bf16=self._recipe.bf16).mean(axis=0, dtype=np.float64)
            for p in self._patches
        ]
        if self._recipe.centring == "training":
            means = [np.mean(means, axis=0)] * len(means)
        self._centres = [torch.from_numpy(m.astype(np.float32)).to(self._tower.device) for m in means]

    def batches(self, plan: Plan, epoch: int, rng: np.random.Generator) -> Iterator[Any]:  # noqa: ARG002
        """Inputs of each batch, every patch in a view of its own."""
        import torch

        keys = [[(section, int(row)) for section, rows in batch for row in rows] for batch in plan]
        for at, pixels in zip(keys, _loader(self._patches, keys, epoch, self._recipe), strict=True):
            centres = torch.stack([self._centres[section] for section, _ in at])
            yield (self._tower(pixels, bf16=self._recipe.bf16) - centres) * self._scale

    def whole(self, section: int) -> Any:
        """Inputs of a section as it lies, centred as its index will be."""
        import torch

        features = torch.from_numpy(self._tower.features(self._patches[section], bf16=self._recipe.bf16))
        found = features.to(self._tower.device)
        centre = found.mean(dim=0) if self._recipe.centring == "section" else self._centres[section]
        return (found - centre) * self._scale

    def digest(self) -> str:
        """Of all patches and the weights the tower starts from."""
        digest = hashlib.sha256()
        for patches in self._patches:
            digest.update(np.ascontiguousarray(patches).data)
        for name, parameter in self._tower.module.named_parameters():
            digest.update(name.encode())
            digest.update(parameter.detach().cpu().numpy().tobytes())
        return digest.hexdigest()


class PatchViews:
    """A map-style data set of augmented patches by `(section, row)`.

    What a patch becomes is drawn from a generator of its own, seeded by the run, the epoch, the section and the row: it
    is the same whichever worker prepares it.
    """

    def __init__(self, patches: Sequence[Patches], epoch: int, recipe: TowerRecipe) -> None:
        self._patches, self._epoch, self._recipe = patches, epoch, recipe

    def __len__(self) -> int:
        return sum(map(len, self._patches))

    def __getitem__(self, at: tuple[int, int]) -> Any:
        section, row = at
        recipe = self._recipe
        return random_view(
            self._patches[section][row],
            orientations=recipe.orientations,
            stain_jitter=recipe.stain_jitter,
            rng=np.random.default_rng([recipe.seed, self._epoch, section, row]),
        )


def check_tunable(device: str | None, *, workers: int) -> str:
    """The device to tune on.

    Raises
    ------
    TrainingError
        If none was named, and so a CPU would be used for what takes hours on one.
    """
    if device is None:
        raise TrainingError(
            "Fine-tuning trains the whole image tower, hours on a CPU for all but the smallest; give --device cuda, "
            "or --device cpu to do it there all the same."
        )
    if workers and device == "mps":
        raise TrainingError("Workers cannot be used with device mps; give --workers 0.")
    return device


def _loader(patches: Sequence[Patches], keys: list[list[tuple[int, int]]], epoch: int, recipe: TowerRecipe) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(
        PatchViews(patches, epoch, recipe),  # type: ignore[arg-type]  # its keys are pairs
        batch_sampler=keys,
        num_workers=recipe.workers,
        collate_fn=_stack,
    )


def _stack(patches: list[Patches]) -> Any:
    import torch

    return torch.from_numpy(np.stack(patches))


def _spread(n: int) -> Any:
    return np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).astype(np.int64))
