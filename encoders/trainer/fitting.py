"""Heads, and the image tower where asked, trained by contrast: balanced batches, early stopping, resumable.

Losses are those of `encoders.contrastive`. Each epoch draws from a generator seeded by its number, so a resumed
training takes the steps that an uninterrupted one would have taken.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from encoders.alignment import Matrix
from encoders.batches import Rows, balanced_batches
from encoders.checkpoints import Checkpoint, read_checkpoint
from encoders.contracts import Floats
from encoders.contrastive import contrastive_loss
from encoders.errors import TrainingError
from encoders.trainer.heads import place_in_training
from encoders.trainer.tower_recipe import TowerRecipe

_MAX_LOG_SCALE = float(np.log(100.0))  # CLIP's bound
START_LOG_SCALE = float(np.log(10.0))
_MOMENTS = ("exp_avg", "exp_avg_sq")
_WARM_UP = 10  # steps in which the rates rise to what was asked for: AdamW's first steps are its largest
Plan = list[list[tuple[int, Rows]]]


class ImageInputs(Protocol):
    """Where the inputs of the image head come from: kept features, or a tower that is trained with it."""

    def tower_parameters(self) -> dict[str, Any]:
        """Parameters trained beside the heads, by name."""

    def begin(self, epoch: int) -> None:
        """Called before each epoch."""

    def batches(self, plan: Plan, epoch: int, rng: np.random.Generator) -> Iterator[Any]:
        """Inputs `(n, n_inputs)` of each batch of the plan, as tensors."""

    def whole(self, section: int) -> Any:
        """Inputs of all spots of a section, as they lie."""

    def digest(self) -> str:
        """Identity of the pixels or features."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """What is fitted.

    Attributes
    ----------
    expression : list (sections) of float32 (n, n_inputs)
        Scaled, centred inputs of the expression head.
    image_axes, expression_axes : float64 (n_inputs, n_components)
        Principal axes of both sides.
    patients : list of str
        One a section.
    drops_genes : bool
        Whether inputs of the expression head are genes, which may be blanked.
    """

    expression: Sequence[Floats]
    image_axes: Matrix
    expression_axes: Matrix
    patients: Sequence[str]
    drops_genes: bool


class Fitting:
    """Parameters, optimiser and the best state so far of one training.

    Parameters
    ----------
    start : mapping of str to float32 array
        Parameters of both heads, named `image.*` and `expression.*`.
    trained, held_out : sequence of int
        Sections that are trained on, and those it is stopped by.
    """

    def __init__(
        self,
        images: ImageInputs,
        pairs: Pairs,
        start: Mapping[str, Floats],
        recipe: TowerRecipe,
        *,
        trained: Sequence[int],
        held_out: Sequence[int],
        device: str = "cpu",
    ) -> None:
        import torch

        self._images, self._pairs, self._recipe, self._device = images, pairs, recipe, device
        self._trained, self._held_out = list(trained), list(held_out)
        self._genes = [torch.from_numpy(z) for z in pairs.expression]
        self._axes = {
            side: torch.from_numpy(axes.astype(np.float32)).to(device)
            for side, axes in (("image", pairs.image_axes), ("expression", pairs.expression_axes))
        }
        heads = {**start, "log_scale": np.array([START_LOG_SCALE], dtype=np.float32)}
        self._heads = {name: torch.nn.Parameter(torch.tensor(value, device=device)) for name, value in heads.items()}
        self._tower = {f"tower.{name}": value for name, value in images.tower_parameters().items()}
        self._parameters = {**self._heads, **self._tower}
        groups = [{"params": list(self._heads.values()), "lr": recipe.learning_rate}]
        if self._tower:
            groups.append({"params": list(self._tower.values()), "lr": recipe.tower_learning_rate})
        self._optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
        self._run = _digest(images, pairs, recipe)
        self.epochs, self._since_best, self.losses = 0, 0, list[float]()
        self._best_score = float("inf")
        self._best = self._arrays()

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the held-out sections got no better for long enough."""
        patience_over = bool(self._held_out) and self._since_best >= self._recipe.patience
        return self.epochs >= self._recipe.epochs or patience_over

    def run(self, *, checkpoint: Path | None = None, on_epoch: Callable[[int, int], None] | None = None) -> None:
        """Train to the end, from the checkpoint where there is one.

        Raises
        ------
        TrainingError
            If the loss is no longer finite, or the checkpoint belongs to another training.
        """
        if checkpoint is not None and checkpoint.is_file():
            self._resume(checkpoint)
        elif self._held_out:
            self._images.begin(0)
            self._best_score = self._score()
        while not self.finished:
            self._epoch()
            if checkpoint is not None:
                self._save(checkpoint)
            if on_epoch is not None:
                on_epoch(self.epochs, self._recipe.epochs)
        self._load(self._best)

    def head(self, side: str) -> dict[str, Floats]:
        """Parameters of the `image` or `expression` head of the best epoch."""
        prefix = f"{side}."
        return {name.removeprefix(prefix): array for name, array in self._best.items() if name.startswith(prefix)}

    def _epoch(self) -> None:
        import torch

        recipe = self._recipe
        rng = np.random.default_rng([recipe.seed, self.epochs])
        noise = torch.Generator().manual_seed(int(rng.integers(2**31)))
        sizes = [len(self._genes[i]) for i in self._trained]
        patients = [self._pairs.patients[i] for i in self._trained]
        plan = [
            [(self._trained[number], rows) for number, rows in batch]
            for batch in balanced_batches(sizes, patients, recipe.batch_size, rng)
        ]
        self._images.begin(self.epochs)
        total = 0.0
        for number, (batch, x) in enumerate(zip(plan, self._images.batches(plan, self.epochs, rng), strict=True)):
            self._warm(self.epochs * len(plan) + number)
            z = torch.cat([self._genes[section][rows] for section, rows in batch])
            if self._pairs.drops_genes and recipe.gene_dropout:
                kept = 1.0 - recipe.gene_dropout
                z = z * (torch.rand(z.shape, generator=noise) < kept) / kept
            loss = self._loss(x, z.to(self._device))
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"The loss became {float(loss.detach())} in epoch {self.epochs + 1}; lower the learning rate "
                    f"({recipe.learning_rate:g}) or check the features for outliers."
                )
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
            total += float(loss.detach())
        self.epochs += 1
        self.losses.append(total / len(plan))
        self._judge()

    def _warm(self, step: int) -> None:
        share = min(1.0, (step + 1) / _WARM_UP)
        rates = (self._recipe.learning_rate, self._recipe.tower_learning_rate)
        for group, rate in zip(self._optimiser.param_groups, rates, strict=False):
            group["lr"] = rate * share

    def _judge(self) -> None:
        """Keep this epoch if the held-out sections are better for it, or if there are none."""
        if not self._held_out:
            self._best, self._since_best = self._arrays(), 0
            return
        self._images.begin(self.epochs)
        score = self._score()
        if score < self._best_score:
            self._best_score, self._best, self._since_best = score, self._arrays(), 0
        else:
            self._since_best += 1

    def _place(self, x: Any, z: Any) -> tuple[Any, Any]:
        images = place_in_training(x, self._axes["image"], self._of("image"))
        return images, place_in_training(z, self._axes["expression"], self._of("expression"))

    def _of(self, side: str) -> dict[str, Any]:
        prefix = f"{side}."
        return {name.removeprefix(prefix): p for name, p in self._heads.items() if name.startswith(prefix)}

    def _loss(self, x: Any, z: Any) -> Any:
        images, expression = self._place(x, z)
        scale = self._heads["log_scale"].clamp(max=_MAX_LOG_SCALE).exp()
        return contrastive_loss(images, expression, scale, soft=self._recipe.loss == "bleep")

    def _score(self) -> float:
        """Mean rank of a held-out spot's partner in its section, as a share, both ways."""
        import torch

        ranks: list[float] = []
        with torch.no_grad():
            for section in self._held_out:
                images, expression = self._place(self._images.whole(section), self._genes[section].to(self._device))
                scores = images @ expression.T
                own = scores.diagonal()
                both = (scores >= own[:, None]).sum(), (scores >= own[None, :]).sum()
                ranks += [float(total) / len(own) ** 2 for total in both]
        return float(np.mean(ranks))

    def _arrays(self) -> dict[str, Floats]:
        return {name: p.detach().cpu().numpy().copy() for name, p in self._parameters.items()}

    def _load(self, arrays: Mapping[str, Floats]) -> None:
        import torch

        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(torch.from_numpy(arrays[name]))

    def _save(self, path: Path) -> None:
        arrays: dict[str, Any] = self._arrays()
        for name, parameter in self._parameters.items():
            state = self._optimiser.state.get(parameter) or _untouched(parameter)
            arrays |= {f"{name}/{moment}": state[moment].cpu().numpy() for moment in _MOMENTS}
            arrays[f"{name}/step"] = state["step"].cpu().numpy().reshape(1)
        arrays |= {f"best/{name}": array for name, array in self._best.items()}
        arrays["progress"] = np.array([self._best_score, self._since_best], dtype=np.float64)
        arrays["losses"] = np.array(self.losses, dtype=np.float64)
        Checkpoint(self._run, self.epochs, arrays).save(path)

    def _resume(self, path: Path) -> None:
        import torch

        shapes: dict[str, tuple[int, ...]] = {"progress": (2,)}
        for name, parameter in self._parameters.items():
            own = tuple(parameter.shape)
            shapes |= {name: own, f"best/{name}": own, f"{name}/step": (1,)}
            shapes |= {f"{name}/{moment}": own for moment in _MOMENTS}
        found = read_checkpoint(path, run=self._run, shapes=shapes)
        arrays: Any = found.arrays
        self._load(arrays)
        for name, parameter in self._parameters.items():
            step = torch.tensor(arrays[f"{name}/step"])[0]
            if step > 0:
                state = {m: torch.tensor(arrays[f"{name}/{m}"], device=self._device) for m in _MOMENTS}
                self._optimiser.state[parameter] = {**state, "step": step}
        self.epochs, self.losses = found.epochs, arrays["losses"].tolist()
        self._best = {name: arrays[f"best/{name}"] for name in self._parameters}
        self._best_score, self._since_best = float(arrays["progress"][0]), int(arrays["progress"][1])


def _untouched(parameter: Any) -> dict[str, Any]:
    """State of a parameter that no loss depends on, such as an unused layer of a tower."""
    import torch

    return {**{moment: torch.zeros_like(parameter) for moment in _MOMENTS}, "step": torch.zeros(1)}


def _digest(images: ImageInputs, pairs: Pairs, recipe: TowerRecipe) -> str:
    settings = {**recipe.settings(), "validate": recipe.validate_patients}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(images.digest().encode())
    for matrix in (*pairs.expression, pairs.image_axes, pairs.expression_axes):
        digest.update(np.ascontiguousarray(matrix).data)
    return digest.hexdigest()
