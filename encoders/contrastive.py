"""Linear heads trained by contrast on cached features: the losses `infonce` and `bleep` of a recipe.

`infonce`: the symmetric cross-entropy of CLIP (Radford et al., ICML 2021) with a learned temperature. `bleep`: the same
against the soft targets of BLEEP (Xie et al., NeurIPS 2023), softmax of the mean of both within-view similarities, here
of unit vectors and at the learned temperature. Heads start from ridge CCA, so they can only leave it where a held-out
part of the pairs gains by it.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from encoders.alignment import Matrix, ridge_cca
from encoders.batches import balanced_batches, split
from encoders.checkpoints import Checkpoint, read_checkpoint
from encoders.errors import TrainingError
from encoders.recipe import Recipe

_MAX_LOG_SCALE = float(np.log(100.0))  # CLIP's bound
_START_LOG_SCALE = float(np.log(10.0))
_WEIGHT_DECAY = 1e-3
_PARAMETERS = ("image_head", "expression_head", "log_scale")
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class HeadInput:
    """What the heads are trained on.

    Attributes
    ----------
    images : list (orientations) of list (sections) of float64 (n, n_image_components)
        Principal components of image features, centred by section.
    expression : list (sections) of float64 (n, n_genes)
        Standardised log-expression, centred by section.
    axes : float64 (n_genes, n_expression_components)
        Principal axes of expression.
    patients : list of str
        One a section.
    """

    images: Sequence[Sequence[Matrix]]
    expression: Sequence[Matrix]
    axes: Matrix
    patients: Sequence[str]


def fit_heads(
    data: HeadInput,
    recipe: Recipe,
    *,
    checkpoint: Path | None = None,
    on_epoch: Callable[[int, int], None] | None = None,
) -> tuple[Matrix, Matrix]:
    """Heads `(n_image_components, dim)` and `(n_expression_components, dim)`.

    Each epoch draws from a generator seeded by its number, so that a resumed training takes the steps that an
    uninterrupted one would have taken.

    Raises
    ------
    TrainingError
        If nothing can be held out for early stopping, the loss is no longer finite, or the checkpoint belongs to
        another training.
    """
    trained, held_out = split(data.patients, recipe.stop_on)
    trainer = _Trainer(data, recipe, trained, held_out)
    if checkpoint is not None and checkpoint.is_file():
        trainer.resume(checkpoint)
    while not trainer.finished:
        trainer.epoch()
        if checkpoint is not None:
            trainer.save(checkpoint)
        if on_epoch is not None:
            on_epoch(trainer.epochs, recipe.epochs)
    return trainer.best()


def contrastive_loss(images: Any, expression: Any, scale: Any, *, soft: bool) -> Any:
    """Loss of a batch of unit vectors `(n, dim)`, row i of both being the same spot; `soft` for BLEEP's targets."""
    import torch
    from torch.nn.functional import cross_entropy

    logits = scale * expression @ images.T
    targets = torch.arange(len(images), device=images.device)
    if soft:
        with torch.no_grad():
            within = (images @ images.T + expression @ expression.T) / 2
            # Symmetric similarities, but rows are normalised: the other direction has its own targets.
            targets = (scale * within).softmax(dim=1)
    return (cross_entropy(logits, targets) + cross_entropy(logits.T, targets)) / 2


class _Trainer:
    """Parameters, optimiser and the best state so far of one training."""

    def __init__(self, data: HeadInput, recipe: Recipe, trained: Sequence[int], held_out: Sequence[int]) -> None:
        import torch

        self._recipe, self._trained, self._held_out = recipe, trained, held_out
        self._images = [[torch.from_numpy(x.astype(np.float32)) for x in sections] for sections in data.images]
        self._genes = [torch.from_numpy(z.astype(np.float32)) for z in data.expression]
        self._axes = torch.from_numpy(data.axes.astype(np.float32))
        self._patients = data.patients
        self._run = _digest(data, recipe)
        start = _start(data, recipe, trained)
        self._parameters = {
            name: torch.nn.Parameter(torch.tensor(value, dtype=torch.float32))
            for name, value in zip(_PARAMETERS, (*start, [_START_LOG_SCALE]), strict=True)
        }
        self._optimiser = torch.optim.AdamW(
            self._parameters.values(), lr=recipe.learning_rate, weight_decay=_WEIGHT_DECAY
        )
        self.epochs, self._since_best = 0, 0
        self._best_score = self._score()
        self._best = self._heads()

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the held-out part got no better for long enough."""
        return self.epochs >= self._recipe.epochs or (
            bool(self._held_out) and self._since_best >= self._recipe.patience
        )

    def best(self) -> tuple[Matrix, Matrix]:
        """Image and expression head of the best epoch."""
        image, expression = self._best
        return image.astype(np.float64), expression.astype(np.float64)

    def epoch(self) -> None:
        """One pass over the training sections, then a look at the held-out ones."""
        import torch

        rng = np.random.default_rng([self._recipe.seed, self.epochs])
        noise = torch.Generator().manual_seed(int(rng.integers(2**31)))
        sizes = [len(self._genes[i]) for i in self._trained]
        patients = [self._patients[i] for i in self._trained]
        for rows in balanced_batches(sizes, patients, self._recipe.batch_size, rng):
            orientation = self._images[int(rng.integers(len(self._images)))]
            picked = [(self._trained[number], at) for number, at in rows]
            x = torch.cat([orientation[section][at] for section, at in picked])
            z = torch.cat([self._genes[section][at] for section, at in picked])
            kept = 1.0 - self._recipe.gene_dropout
            z = z * (torch.rand(z.shape, generator=noise) < kept) / kept
            loss = self._loss(x, z)
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"The loss became {float(loss.detach())} in epoch {self.epochs + 1}; lower the learning rate "
                    f"({self._recipe.learning_rate:g}) or check the features for outliers."
                )
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
        self.epochs += 1
        score = self._score()
        # Without held-out sections the last epoch counts.
        if score < self._best_score or not self._held_out:
            self._best_score, self._best, self._since_best = score, self._heads(), 0
        else:
            self._since_best += 1

    def save(self, path: Path) -> None:
        """Write the state after this epoch."""
        arrays = {name: p.detach().numpy() for name, p in self._parameters.items()}
        for name, parameter in self._parameters.items():
            state = self._optimiser.state[parameter]
            arrays |= {f"{name}.{moment}": state[moment].numpy() for moment in _MOMENTS}
            arrays[f"{name}.step"] = state["step"].numpy().reshape(1)
        arrays |= {"best.image": self._best[0], "best.expression": self._best[1]}
        arrays["progress"] = np.array([self._best_score, self._since_best], dtype=np.float64)
        Checkpoint(self._run, self.epochs, arrays).save(path)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint of the same training."""
        import torch

        shapes = {name: tuple(p.shape) for name, p in self._parameters.items()}
        moments = {f"{name}.{moment}": shape for name, shape in shapes.items() for moment in _MOMENTS}
        steps = {f"{name}.step": (1,) for name in shapes}
        best = {"best.image": shapes["image_head"], "best.expression": shapes["expression_head"], "progress": (2,)}
        found = read_checkpoint(path, run=self._run, shapes={**shapes, **moments, **steps, **best})
        for name, parameter in self._parameters.items():
            parameter.data = torch.tensor(found.arrays[name])
            state: dict[str, Any] = {m: torch.tensor(found.arrays[f"{name}.{m}"]) for m in _MOMENTS}
            self._optimiser.state[parameter] = {**state, "step": torch.tensor(found.arrays[f"{name}.step"])[0]}
        self.epochs = found.epochs
        self._best = (found.arrays["best.image"], found.arrays["best.expression"])
        self._best_score, self._since_best = float(found.arrays["progress"][0]), int(found.arrays["progress"][1])

    def _loss(self, x: Any, z: Any) -> Any:
        images, expression = self._place(x, z)
        scale = self._parameters["log_scale"].clamp(max=_MAX_LOG_SCALE).exp()
        return contrastive_loss(images, expression, scale, soft=self._recipe.loss == "bleep")

    def _place(self, x: Any, z: Any) -> tuple[Any, Any]:
        from torch.nn.functional import normalize

        images = normalize(x @ self._parameters["image_head"], dim=1)
        return images, normalize(z @ self._axes @ self._parameters["expression_head"], dim=1)

    def _heads(self) -> tuple[Any, Any]:
        image, expression = (self._parameters[name].detach().numpy().copy() for name in _PARAMETERS[:2])
        return image, expression

    def _score(self) -> float:
        """Mean rank of a held-out spot's partner in its section, as a share, both ways; 0 where none is held out."""
        import torch

        ranks: list[float] = []
        with torch.inference_mode():
            for section in self._held_out:
                images, expression = self._place(self._images[0][section], self._genes[section])
                scores = images @ expression.T
                own = scores.diagonal()
                both = (scores >= own[:, None]).sum(), (scores >= own[None, :]).sum()
                ranks += [float(total) / len(own) ** 2 for total in both]
        return float(np.mean(ranks)) if ranks else 0.0


def _start(data: HeadInput, recipe: Recipe, trained: Sequence[int]) -> tuple[Matrix, Matrix]:
    """Canonical directions of the sections that are trained on."""
    X = np.concatenate([sections[i] for sections in data.images for i in trained])
    Y = np.tile(np.concatenate([data.expression[i] @ data.axes for i in trained]), (len(data.images), 1))
    directions = ridge_cca(X, Y, dim=recipe.dim, shrinkage=recipe.shrinkage)
    return directions.x * directions.correlations, directions.y * directions.correlations


def _digest(data: HeadInput, recipe: Recipe) -> str:
    digest = hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode())
    for matrix in (*(x for sections in data.images for x in sections), *data.expression, data.axes):
        digest.update(np.ascontiguousarray(matrix).tobytes())
    return digest.hexdigest()
