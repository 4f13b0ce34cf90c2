"""A network with fixed weights that turns patches into features; what the backbones of `mini` have in common."""

from abc import ABC, abstractmethod

from encoders.contracts import Floats, Patches
from encoders.graph_cache import identity_of
from encoders.inference import Forward, PatchModel


class FrozenNetwork(ABC):
    """Features of patches by fixed weights, which are read on the first call of `features`.

    Parameters
    ----------
    device : str
        A torch device: `cpu`, `cuda`, `cuda:1`.
    """

    name: str
    licence: str
    feature_dim: int
    weights_sha256: str

    def __init__(self, *, device: str = "cpu") -> None:
        self.device = device
        identity = identity_of(type(self), self.weights_sha256)
        self._run = PatchModel(self._load, name=self.name, dim=self.feature_dim, device=device, identity=identity)

    @property
    def runtime(self) -> str:
        """What runs the network; empty before the first patch."""
        return self._run.runtime

    def features(self, patches: Patches) -> Floats:
        """Features `float32 (n, feature_dim)` of RGB uint8 patches `(n, side, side, 3)`."""
        return self._run(patches)

    @abstractmethod
    def _load(self) -> Forward:
        """The network as a function of RGB pixels `(n, side, side, 3)`; raises `WeightsMissingError`."""
