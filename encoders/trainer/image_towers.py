"""Frozen image towers by name: patches in, features out, with what a card must say of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from encoders.backbones import BACKBONES, DefaultBackbone, InstalledBackbone
from encoders.contracts import Floats, ImageEncoder, Patches, PatchSpec
from encoders.errors import EncoderError, SpaceMismatchError
from encoders.image_registry import open_encoder
from encoders.recipe import Recipe

#: The image features of the space `mini`, by a short name.
DEFAULT = "mini"


class ImageTower(Protocol):
    """What the image head is fitted on."""

    @property
    def name(self) -> str:
        """Named on the card."""

    @property
    def licence(self) -> str:
        """Of its weights."""

    @property
    def weights_sha256(self) -> str:
        """Digest of its weights."""

    @property
    def patch(self) -> PatchSpec:
        """The patch it sees."""

    @property
    def feature_dim(self) -> int:
        """Length of a feature vector."""

    def features(self, patches: Patches) -> Floats:
        """Features `float32 (n, feature_dim)` of RGB uint8 patches `(n, side_px, side_px, 3)`."""


class BackboneTower:
    """A backbone of the `mini` family as a tower."""

    def __init__(self, backbone: InstalledBackbone, *, patch: PatchSpec) -> None:
        self._backbone = backbone
        self.name, self.licence = backbone.name, backbone.licence
        self.weights_sha256, self.feature_dim = backbone.weights_sha256, backbone.feature_dim
        self.patch = patch

    def features(self, patches: Patches) -> Floats:
        """Features of patches."""
        self.patch.check(patches)
        return self._backbone.features(patches)


class EncoderTower:
    """A published image encoder as a tower."""

    def __init__(self, encoder: ImageEncoder, *, name: str) -> None:
        self._encoder = encoder
        self.name, self.licence = name, encoder.info.licence
        self.weights_sha256, self.feature_dim = encoder.info.weights_sha256, encoder.info.dim
        self.patch = encoder.patch

    def features(self, patches: Patches) -> Floats:
        """Features of patches, as the model gives them."""
        return self._encoder.features(patches)


@dataclass(frozen=True, slots=True)
class FeaturesElsewhere:
    """The tower of a space trained on features made elsewhere: it names them, and has no pixels of its own."""

    name: str
    feature_dim: int
    patch: PatchSpec
    licence: str = "of the encoder named"
    weights_sha256: str = "features made elsewhere"

    def features(self, patches: Patches) -> Floats:  # noqa: ARG002 (the protocol's)
        """Never: raises `EncoderError`."""
        raise EncoderError(
            f"This space was trained on features of {self.name!r} made elsewhere and cannot read pixels. Ingest slides "
            f"with such features (`--features`), and ask with items, genes or profiles."
        )


def open_image_tower(
    name: str = DEFAULT, *, weights: Path | None = None, side_um: float | None = None, device: str = "cpu"
) -> ImageTower:
    """Open an image tower; its weights are read on first use.

    Parameters
    ----------
    name : str
        `mini`, a backbone as a card names it, or an image encoder of `encoders.image_registry`.
    weights : Path, optional
        Its weights; by default looked for in the weights folder.
    side_um : float, optional
        Side of a patch in micrometres, for towers that state none.

    Raises
    ------
    UnknownEncoderError, WeightsMissingError, PackageMissingError, EncoderError, PatchError
        As `open_encoder`.
    """
    backbone = DefaultBackbone if name == DEFAULT else BACKBONES.get(name)
    if backbone is not None:
        own = Recipe().patch
        patch = own if side_um is None else PatchSpec(side_um=side_um, side_px=own.side_px)
        return BackboneTower(backbone(device=device), patch=patch)
    return EncoderTower(open_encoder(name, weights=weights, side_um=side_um, device=device), name=name)


def check_digest(tower: ImageTower, sha256: str, *, space: str) -> None:
    """Raise `SpaceMismatchError` unless the tower has the weights a space was trained on."""
    if tower.weights_sha256 != sha256:
        raise SpaceMismatchError(
            f"Space {space!r} was trained on {tower.name!r} with weights {sha256[:12]}; those found here are "
            f"{tower.weights_sha256[:12]}. Put the weights it was trained on in their place."
        )


def check_finite(features: Floats, *, tower: str, slide: str) -> None:
    """Raise `EncoderError` if a feature is NaN or infinite, as a tower in half precision may give."""
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        raise EncoderError(
            f"{tower!r} gave NaN or infinite features for {len(bad)} of {len(features)} patches of {slide} (patch "
            f"{bad[0]} is the first); check its weights."
        )
