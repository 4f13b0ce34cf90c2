"""Any open_clip model as an image encoder, its weights from a local file; the package comes with the extra `clip`."""

import importlib.util
from pathlib import Path
from typing import Any

from encoders.catalogue import CLIP_MEAN, CLIP_STD, EncoderFacts
from encoders.clip_layout import image_tower
from encoders.errors import PackageMissingError, UnknownEncoderError
from encoders.frozen_images import FrozenImageEncoder, frozen_encoder
from encoders.torchvision_ops import ensure_torchvision_imports
from encoders.weights import check_layout, read_tensors

PACKAGE = "open_clip"
EXTRA = "clip"


def missing_package() -> str:
    """What to install to have open_clip; empty where it is installed."""
    if importlib.util.find_spec(PACKAGE) is not None:
        return ""
    return (
        f'The package open_clip_torch is not installed; run `pip install -e ".[{EXTRA}]"` in the checkout, '
        f'or `pip install "open_clip_torch>=3.0,<4"`.'
    )


def import_open_clip() -> Any:
    """The package open_clip.

    Raises
    ------
    PackageMissingError
        If it is not installed; names the extra that brings it.
    """
    missing = missing_package()
    if missing:
        raise PackageMissingError(missing)
    ensure_torchvision_imports()
    import open_clip

    return open_clip


def open_clip_facts(architecture: str, *, side_um: float | None = None, name: str | None = None) -> EncoderFacts:
    """What open_clip itself declares of one of its models: dimensions and size of the image.

    Parameters
    ----------
    architecture : str
        A name of `open_clip.list_models()`.
    side_um : float, optional
        Side of a patch in micrometres, which open_clip does not know.
    name : str, optional
        Name of the encoder, by default `open_clip/` and the architecture.

    Raises
    ------
    UnknownEncoderError
        If open_clip has no such model.
    PackageMissingError
        If open_clip is not installed.
    """
    config = import_open_clip().get_model_config(architecture)
    if config is None:
        raise UnknownEncoderError(f"open_clip has no model {architecture!r}; see open_clip.list_models().")
    return EncoderFacts(
        name=name or f"open_clip/{architecture}",
        source="a local file",
        dim=int(config["embed_dim"]),
        side_px=int(config["vision_cfg"]["image_size"]),
        side_um=side_um,
        mean=CLIP_MEAN,
        std=CLIP_STD,
        family="open_clip",
        architecture=architecture,
    )


def open_clip_encoder(
    facts: EncoderFacts, weights: Path, *, side_um: float | None = None, device: str = "cpu"
) -> FrozenImageEncoder:
    """The image tower of an open_clip model with the weights of a local file; it is built on first use.

    The file may be in open_clip's layout or, as PLIP's, in that of transformers. Parameters and errors are those of
    `encoders.timm_models.timm_encoder`; `PackageMissingError` is raised on first use if open_clip is not installed.
    """

    def load() -> Any:
        model = import_open_clip().create_model(facts.architecture, load_weights=False, pretrained_text=False)
        found = image_tower(read_tensors(weights))
        tower = {f"visual.{name}": tensor for name, tensor in model.visual.state_dict().items()}
        check_layout(found, tower, what=f"{facts.name} (open_clip {facts.architecture})", path=weights)
        model.visual.load_state_dict({name.removeprefix("visual."): tensor for name, tensor in found.items()})
        return model.eval().requires_grad_(requires_grad=False).to(device).encode_image

    return frozen_encoder(facts, weights, load=load, side_um=side_um, device=device)
