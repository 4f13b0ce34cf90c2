"""Any timm model as an image encoder, its weights from a local file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from encoders.catalogue import EncoderFacts
from encoders.errors import UnknownEncoderError
from encoders.frozen_images import FrozenImageEncoder, frozen_encoder
from encoders.torchvision_ops import ensure_torchvision_imports
from encoders.weights import check_layout, read_tensors

_HEADS = ("head.", "fc.", "classifier.", "head_dist.")


def timm_facts(architecture: str, *, side_um: float | None = None, name: str | None = None) -> EncoderFacts:
    """What timm itself declares of one of its models: dimensions, size of the image, normalisation.

    Parameters
    ----------
    architecture : str
        A name of `timm.list_models()`.
    side_um : float, optional
        Side of a patch in micrometres, which timm does not know.
    name : str, optional
        Name of the encoder, by default `timm/` and the architecture.

    Raises
    ------
    UnknownEncoderError
        If timm has no such model.
    """
    ensure_torchvision_imports()
    import timm
    import torch

    if not timm.is_model(architecture):
        alike = ", ".join(timm.list_models(f"{architecture.split('_', maxsplit=1)[0]}*")[:5]) or "none spelled alike"
        raise UnknownEncoderError(f"timm has no model {architecture!r} ({alike}); see timm.list_models().")
    with torch.device("meta"):
        model: Any = timm.create_model(architecture, pretrained=False, num_classes=0)
    declared = model.pretrained_cfg
    return EncoderFacts(
        name=name or f"timm/{architecture}",
        source="a local file",
        dim=int(model.num_features),
        side_px=int(declared["input_size"][-1]),
        side_um=side_um,
        mean=tuple(declared["mean"]),
        std=tuple(declared["std"]),
        architecture=architecture,
    )


def timm_encoder(
    facts: EncoderFacts, weights: Path, *, side_um: float | None = None, device: str = "cpu"
) -> FrozenImageEncoder:
    """A timm model with the weights of a local file; the model is built on first use.

    Parameters
    ----------
    facts : EncoderFacts
        A row of the catalogue, or `timm_facts`.
    weights : Path
        `.safetensors`, or a PyTorch file read with `weights_only=True`. Tensors of a classification head are left out.
    side_um : float, optional
        Side of a patch in micrometres, for encoders that state none.
    device : str
        A torch device.

    Raises
    ------
    PatchError
        If no scale is stated or given, or another than is stated.
    WeightsMissingError
        If there is no such file.
    SpaceMismatchError, CheckpointError
        On first use, if the model has another dimension than declared, or the file is not its checkpoint.
    """

    def load() -> Any:
        return pooled(timm_module(facts, weights).requires_grad_(requires_grad=False).to(device), facts)

    return frozen_encoder(facts, weights, load=load, side_um=side_um, device=device)


def timm_module(facts: EncoderFacts, weights: Path) -> Any:
    """The torch module with its weights, on the CPU, in evaluation mode; raises as `timm_encoder` does."""
    model = _build(facts)
    found = _without_head(read_tensors(weights), model.state_dict())
    check_layout(found, model.state_dict(), what=f"{facts.name} (timm {facts.architecture})", path=weights)
    model.load_state_dict(found)
    return model.eval()


def _build(facts: EncoderFacts) -> Any:
    ensure_torchvision_imports()
    import timm

    model: Any = timm.create_model(facts.architecture, pretrained=False, num_classes=0, **_options(facts.options))
    facts.check_dim(int(model.num_features) * (1 if facts.n_prefix_tokens is None else 2))
    return model


def _options(options: Mapping[str, object]) -> dict[str, Any]:
    """Options with layers given by name put in."""
    import torch
    from timm.layers.mlp import SwiGLUPacked

    layers = {"SwiGLUPacked": SwiGLUPacked, "SiLU": torch.nn.SiLU}
    return {
        key: layers[value] if isinstance(value, str) and value in layers else value for key, value in options.items()
    }


def _without_head(found: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name in expected or not name.startswith(_HEADS)}


def pooled(model: Any, facts: EncoderFacts) -> Any:
    """Images to features: the module, or for models that give tokens the class token beside the mean of the others."""
    n_prefix = facts.n_prefix_tokens
    if n_prefix is None:
        return model

    def class_and_mean(images: Any) -> Any:
        import torch

        tokens = model(images)
        return torch.cat([tokens[:, 0], tokens[:, n_prefix:].mean(dim=1)], dim=-1)

    return class_and_mean
