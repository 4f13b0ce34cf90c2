"""Image encoders whose weights can be trained further: timm's and open_clip's, with the files they are written to."""

from pathlib import Path
from typing import Any

from encoders.catalogue import EncoderFacts
from encoders.errors import TrainingError, WeightsMissingError
from encoders.image_registry import facts_of, weights_path
from encoders.trainer.tuning import TrainableTower
from encoders.weights import read_tensors

_VISUAL = "visual."


def open_tunable(name: str, weights: Path | None, *, device: str) -> TrainableTower:
    """The image encoder of that name as something to train.

    Raises
    ------
    TrainingError
        If its layers cannot be trained here.
    WeightsMissingError, CheckpointError, EncoderError
        As `encoders.image_registry.open_encoder`.
    """
    facts = _facts(name)
    path = weights or weights_path(facts)
    if path is None:
        raise WeightsMissingError(f"The weights of {name!r} are not on this machine; give their file.")
    if facts.mean is None or facts.std is None:
        raise TrainingError(f"Encoder {name!r} states no normalisation, so it cannot be tuned.")
    module, forward = _module(facts, path)
    return TrainableTower(module, forward, mean=facts.mean, std=facts.std, device=device)


def check_tunable_name(name: str) -> None:
    """Raise `TrainingError` unless the weights of that tower can be trained here."""
    _facts(name)


def write_tuned(tower: TrainableTower, name: str, path: Path) -> None:
    """Write the weights of a tuned tower as the encoder of that name reads them."""
    from safetensors.torch import save_file

    prefix = _VISUAL if facts_of(name).family == "open_clip" else ""
    state = {f"{prefix}{key}": value.detach().cpu().contiguous() for key, value in tower.module.state_dict().items()}
    save_file(state, path)
    path.chmod(0o644)  # safetensors lets its owner alone read it


def _facts(name: str) -> EncoderFacts:
    facts = facts_of(name) if _is_published(name) else None
    if facts is None or facts.family is None or facts.architecture.startswith("coca_"):
        raise TrainingError(
            f"The image tower {name!r} cannot be tuned here; choose a model of timm or open_clip, such as "
            f"timm/resnet18, or leave --fine-tune out and train heads on its features."
        )
    return facts


def _is_published(name: str) -> bool:
    from encoders.catalogue import CATALOGUE

    return name in CATALOGUE or name.startswith(("timm/", "open_clip/"))


def _module(facts: EncoderFacts, path: Path) -> tuple[Any, Any]:
    if facts.family == "timm":
        from encoders.timm_models import pooled, timm_module

        module = timm_module(facts, path)
        return module, pooled(module, facts)
    from encoders.clip_layout import image_tower
    from encoders.open_clip_models import import_open_clip

    visual = import_open_clip().create_model(facts.architecture, load_weights=False, pretrained_text=False).visual
    found = {name.removeprefix(_VISUAL): tensor for name, tensor in image_tower(read_tensors(path)).items()}
    visual.load_state_dict(found)
    return visual, visual
