"""The fixed image features that spaces of the `mini` family are trained on, by the names their cards give."""

from typing import Protocol

from encoders.contracts import Floats, Patches
from encoders.efficientnet import EfficientNetLite0, EfficientNetTexture
from encoders.mobilenet import MobileNetTexture


class Backbone(Protocol):
    """A fixed function from patches to feature vectors."""

    @property
    def name(self) -> str:
        """Named in the card of every space trained on it."""

    @property
    def feature_dim(self) -> int:
        """Length of a feature vector."""

    @property
    def weights_sha256(self) -> str:
        """Digest of the weights."""

    def features(self, patches: Patches) -> Floats:
        """Features `float32 (n, feature_dim)` of RGB uint8 patches `(n, side, side, 3)`."""


InstalledBackbone = MobileNetTexture | EfficientNetLite0
#: What a space is trained on if nothing else is said.
DefaultBackbone = MobileNetTexture
#: Every backbone a saved space may name on its card.
BACKBONES: dict[str, type[InstalledBackbone]] = {
    MobileNetTexture.name: MobileNetTexture,
    EfficientNetLite0.name: EfficientNetLite0,
    EfficientNetTexture.name: EfficientNetTexture,
}
