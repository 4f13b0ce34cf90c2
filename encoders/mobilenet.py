"""The middle of MobileNetV2 at three scales, the backbone of the space `mini`: texture near a spot and round it.

Sandler et al., CVPR 2018. torchvision's ImageNet weights up to block 13, batch normalisations multiplied into the
convolutions, lie beside this file with their licence (BSD-3-Clause); `docs/mobilenet.py` makes them, and nothing is
downloaded. What the later layers know are objects, of which tissue has none, and one scale alone finds less
(`docs/tried.md`).
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encoders.errors import WeightsMissingError
from encoders.frozen_network import FrozenNetwork
from encoders.inference import Forward

WEIGHTS = Path(__file__).parent / "mobilenetv2.safetensors"
#: Of each group of blocks: growth inside a block, channels, blocks, stride of the first.
_GROUPS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
N_BLOCKS = sum(blocks for _, _, blocks, _ in _GROUPS)
_READ = (6, 10, 13)  # 32 channels at stride 8, 64 and 96 at stride 16
_MEAN, _SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # the weights' own normalisation of [0, 1]
_N_VIEWS = 3
_CORE = (17, 56)  # of a patch's side: 136 of 448 px, a little less than a spot


class MobileNetTexture(FrozenNetwork):
    """Mean and standard deviation of the channels of three blocks, over the whole patch, its centre and its core.

    The whole patch is halved by means of 2 x 2 pixels, the middle half is taken as it is, and the core, 17/56 of the
    side, is enlarged to the same size: 3 scales x 2 x (32 + 64 + 96) features. The side must be even.

    Parameters
    ----------
    device : str
        A torch device: `cpu`, `cuda`, `cuda:1`.
    """

    name = "mobilenetv2 blocks 6, 10 and 13 at three scales (torchvision's ImageNet weights, BSD-3-Clause)"
    licence = "BSD-3-Clause"
    feature_dim = 1152
    weights_sha256 = "223cc494c0985f74a73ed3918cf4570e90cb1c80272d42c76a53e11ec71be77b"

    @classmethod
    def weights_path(cls) -> Path:
        """Where the weights lie.

        Raises
        ------
        WeightsMissingError
            If the file is not there.
        """
        if not WEIGHTS.is_file():
            raise WeightsMissingError(
                f"The image weights {WEIGHTS.name} of {cls.name} ({cls.licence}) are missing from {WEIGHTS.parent}. "
                f"Install HistoSeek again."
            )
        return WEIGHTS

    def _load(self) -> Forward:
        import torch

        convolutions = self._convolutions()
        mean, sd = (torch.tensor(v, device=self.device).mul(255).view(1, 3, 1, 1) for v in (_MEAN, _SD))

        def forward(pixels: Any) -> Any:
            # Permuting (n, h, w, c) leaves the memory channels-last.
            images = pixels.permute(0, 3, 1, 2).float().sub(mean).div(sd)
            rows = torch.cat(list(_pooled(torch.cat(list(_views(images))), convolutions)), dim=1)
            return torch.cat(rows.chunk(_N_VIEWS), dim=1)

        return forward

    def _convolutions(self) -> "list[_Convolution]":
        """All of them, in the order in which they are run."""
        import torch
        from safetensors.torch import load

        data = self.weights_path().read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if found != self.weights_sha256:
            raise WeightsMissingError(
                f"{WEIGHTS.name} has SHA-256 {found}, expected {self.weights_sha256}. Install HistoSeek again."
            )
        tensors = {name: tensor.to(self.device) for name, tensor in load(data).items()}
        return [
            _Convolution(
                tensors[f"{number:02d}.weight"].to(memory_format=torch.channels_last),
                tensors[f"{number:02d}.bias"],
                *settings,
            )
            for number, settings in enumerate(_settings())
        ]


@dataclass(frozen=True, slots=True)
class _Convolution:
    """One convolution that keeps the size of a map but for its stride, and what is done with its result."""

    weight: Any
    bias: Any
    stride: int
    groups: int
    bounded: bool
    closes: int
    adds: bool

    def __call__(self, maps: Any) -> Any:
        from torch.nn.functional import conv2d, relu6

        padding = self.weight.shape[-1] // 2
        out = conv2d(maps, self.weight, self.bias, stride=self.stride, padding=padding, groups=self.groups)
        return relu6(out) if self.bounded else out


def _settings() -> Iterator[tuple[int, int, bool, int, bool]]:
    """Stride, groups, whether ReLU6 follows, number of the block it closes (0: none), whether its input is added."""
    yield 2, 1, True, 0, False
    width, number = 32, 0
    for growth, channels, blocks, first_stride in _GROUPS:
        for stride in (first_stride, *(1,) * (blocks - 1)):
            number += 1
            if growth > 1:
                yield 1, 1, True, 0, False
            yield stride, width * growth, True, 0, False
            yield 1, 1, False, number, stride == 1 and width == channels
            width = channels


def _views(images: Any) -> Iterator[Any]:
    """The whole of each image, its middle half and its core, all of half the side."""
    from torch.nn.functional import avg_pool2d, interpolate

    side = images.shape[-1]
    yield avg_pool2d(images, 2)
    yield _middle(images, side // 2)
    core = _middle(images, side * _CORE[0] // _CORE[1])
    yield interpolate(core, size=(side // 2, side // 2), mode="bilinear", align_corners=False)


def _middle(images: Any, side: int) -> Any:
    start = (images.shape[-1] - side) // 2
    return images[:, :, start : start + side, start : start + side]


def _pooled(images: Any, convolutions: Sequence[_Convolution]) -> Iterator[Any]:
    """Mean and standard deviation over the map of each block that is read."""
    maps = entered = images
    for convolution in convolutions:
        maps = convolution(maps)
        if convolution.adds:
            maps = maps + entered
        if convolution.closes in _READ:
            yield maps.mean((2, 3))
            yield maps.std((2, 3))
        if convolution.closes or convolution is convolutions[0]:
            entered = maps
