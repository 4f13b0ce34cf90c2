"""What `histoseek train` was asked for, settled: which family of space, from which slides, with which towers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from encoders.errors import TrainingError
from encoders.recipe import Recipe
from encoders.saving import save_space
from encoders.sentence_recipes import read_housekeeping
from encoders.space import Space
from encoders.trainer.feature_cache import FeatureCache
from encoders.trainer.tower_files import save_towers
from encoders.trainer.tower_recipe import TowerRecipe
from encoders.trainer.tuning import check_tunable
from indexer.datasets.manifest import load_manifest
from indexer.index import Index
from indexer.progress import Progress
from indexer.settings import Settings
from indexer.sources import open_sources
from search.training import run as training
from search.training.run import MINI_DATA, MINI_HELD_OUT, train_slides
from search.training.slides import IndexPairs, TrainingSlide, slides_of_index, slides_of_sources
from search.training.towers import TowerChoice, train_towers

_FEATURES = "features"


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """A training as asked for.

    Attributes
    ----------
    recipe : Recipe
        Name, loss, epochs, dimensions, seed: what both families of spaces have.
    dataset, db : str or None
        A data set of the manifest (her2st by default), or an index; not both.
    slides, images, features, features_encoder
        Of an index: see `search.training.slides.IndexPairs`.
    held_out : tuple of str
        Patients to test on; of her2st B by default.
    towers, choice : mapping
        Settings of `TowerRecipe` and `TowerChoice` that were named; with any of them the space is one on towers.
    manifest : Path or None
        Another manifest than the project's.
    device : str or None
        A torch device; `None` where none was named.
    keeps_features : bool
        Whether features are kept for the next run.
    """

    recipe: Recipe
    dataset: str | None = None
    db: str | None = None
    slides: Sequence[str] | None = None
    images: Path | None = None
    features: Path | None = None
    features_encoder: str | None = None
    held_out: tuple[str, ...] = ()
    towers: Mapping[str, Any] = field(default_factory=dict)
    choice: Mapping[str, Any] = field(default_factory=dict)
    manifest: Path | None = None
    device: str | None = None
    keeps_features: bool = True

    @property
    def on_towers(self) -> bool:
        """Whether anything was asked for that the family of `mini` does not have."""
        return bool(self.towers or self.choice or self.features)

    def check(self) -> None:
        """Raise `TrainingError` where options do not go together."""
        if self.db is not None and self.dataset is not None:
            raise TrainingError(f"Pairs come from --dataset {self.dataset} or from --db {self.db}; give one of them.")
        of_index = {"--slide": self.slides, "--images": self.images, "--features": self.features}
        named = [option for option, value in of_index.items() if value]
        if self.db is None and named:
            raise TrainingError(f"{named[0]} is about the slides of an index; name it with --db.")
        if self.features is not None and (self.images is not None or "image_encoder" in self.choice):
            raise TrainingError("With --features no pixels are read: leave --images and --image-encoder out.")
        if self.on_towers and self.recipe.stop_on == "patient" and "validate_patients" not in self.towers:
            raise TrainingError("To stop on a patient, name one with --validate-patient.")
        if self.db is not None and not self.held_out:
            raise TrainingError("Name a patient of the index to test on, who is never trained on: --hold-out PATIENT.")


def train_requested(request: TrainRequest, out: Path, *, progress: Progress) -> Space:
    """Train the space asked for, measure it on the held-out patients, and save it to `out`.

    Raises
    ------
    TrainingError
        If options do not go together, or the pairs cannot be aligned.
    DataError, StoreError, EncoderError
        If slides, index or towers cannot be read.
    """
    request.check()
    dataset = request.dataset or MINI_DATA
    held_out = set(request.held_out or (MINI_HELD_OUT if dataset == MINI_DATA else ()))
    kept = out.with_name(f"{out.name}.checkpoint.safetensors")
    checkpoint = None if request.recipe.loss == "cca" else kept
    device = request.device or "cpu"
    if not request.on_towers and request.db is None:
        return training.train_dataset(
            dataset,
            held_out,
            request.recipe,
            out,
            manifest=load_manifest(request.manifest),
            device=device,
            checkpoint=checkpoint,
            progress=progress,
        )
    if request.on_towers:
        space = _on_towers(request, out, held_out, checkpoint, progress)
    else:
        space = train_slides(
            _slides(request),
            held_out=held_out,
            recipe=request.recipe,
            device=device,
            checkpoint=checkpoint,
            progress=progress,
        )
        save_space(space, out)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return space


def _on_towers(
    request: TrainRequest, out: Path, held_out: set[str], checkpoint: Path | None, progress: Progress
) -> Space:
    recipe = _tower_recipe(request)
    recipe.check()
    named = dict(request.choice)
    if "housekeeping" in named:
        named["housekeeping"] = read_housekeeping(named["housekeeping"])
    choice = TowerChoice(**named)
    space = train_towers(
        _slides(request),
        held_out=held_out,
        recipe=recipe,
        choice=choice,
        device=request.device or "cpu",
        checkpoint=checkpoint,
        cache=FeatureCache(Settings().cache_dir / _FEATURES if request.keeps_features else None),
        progress=progress,
    )
    return save_towers(space, out, places=choice.places())


def _tower_recipe(request: TrainRequest) -> TowerRecipe:
    shared = request.recipe
    settings = dict(request.towers)
    if settings.get("fine_tune"):
        device = check_tunable(request.device, workers=settings.get("workers", 0))
        settings.setdefault("bf16", device.startswith("cuda"))
    return TowerRecipe(
        name=shared.name,
        loss=shared.loss,
        stop_on="none" if shared.stop_on == "none" else "section",
        epochs=shared.epochs,
        dim=shared.dim,
        seed=shared.seed,
        **settings,
    )


def _slides(request: TrainRequest) -> list[TrainingSlide]:
    if request.db is not None:
        pairs = IndexPairs(request.images, request.features, request.features_encoder, request.slides)
        return slides_of_index(Index.open(request.db), pairs)
    return slides_of_sources(open_sources(request.dataset or MINI_DATA, manifest=load_manifest(request.manifest)))
