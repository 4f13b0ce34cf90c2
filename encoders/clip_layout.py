"""CLIP image towers as Hugging Face's transformers names their weights, renamed to open_clip's names.

PLIP and most CLIP models on the Hugging Face hub are stored so. The functions are the same; transformers keeps query,
key and value apart, where open_clip has them in one matrix, and its projection is transposed.
"""

from collections.abc import Mapping
from typing import Any

_MARK = "vision_model.embeddings.class_embedding"
_LAYER = "vision_model.encoder.layers."
_NAMES = {
    _MARK: "visual.class_embedding",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
}
_LAYER_NAMES = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


def image_tower(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors of the image tower under open_clip's names, from either layout; the text tower is left out.

    Parameters
    ----------
    tensors : mapping of str to tensor
        Weights of a CLIP model as open_clip or as transformers stores them.
    """
    if _MARK not in tensors:
        return {name: tensor for name, tensor in tensors.items() if name.startswith("visual.")}
    renamed = {new: tensors[old] for old, new in _NAMES.items() if old in tensors}
    if "visual_projection.weight" in tensors:
        renamed["visual.proj"] = tensors["visual_projection.weight"].T.contiguous()
    for index in sorted({name.removeprefix(_LAYER).split(".")[0] for name in tensors if name.startswith(_LAYER)}):
        renamed.update(_layer(tensors, f"{_LAYER}{index}.", f"visual.transformer.resblocks.{index}."))
    return renamed


def _layer(tensors: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    import torch

    renamed = {}
    for kind in ("weight", "bias"):
        for before, after in _LAYER_NAMES.items():
            name = f"{old}{before}.{kind}"
            if name in tensors:
                renamed[f"{new}{after}.{kind}"] = tensors[name]
        parts: list[Any] = [tensors.get(f"{old}self_attn.{part}_proj.{kind}") for part in "qkv"]
        if all(part is not None for part in parts):
            renamed[f"{new}attn.in_proj_{kind}"] = torch.cat(parts)
    return renamed
