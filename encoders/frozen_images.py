"""Image encoders used as they were published: pixels normalised, one model, unit vectors. Nothing is learned here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from encoders.catalogue import Colour, EncoderFacts
from encoders.contracts import EncoderInfo, Floats, Patches, PatchSpec, SectionStats, Vectors, unit_rows
from encoders.errors import EncoderError, SpaceMismatchError, WeightsMissingError
from encoders.inference import Forward, PatchModel
from encoders.weights import file_sha256

#: Images `float32 (n, 3, side_px, side_px)`, normalised, to features `(n, dim)`; made on first use.
Model = Callable[[Any], Any]


class FrozenImageEncoder:
    """Patches to unit vectors by a published model; the projection is the identity.

    Such models are compared as they are: stain and centre of a section are accepted, as the contract of image
    encoders has them, and leave the vectors as they are.

    Parameters
    ----------
    info : EncoderInfo
        `dim` is checked against the features.
    patch : PatchSpec
        The patch the model takes.
    mean, std : tuple of float
        Normalisation of RGB in [0, 1].
    load : callable
        Gives the model, on `device`; called once, on first use.
    device : str
        A torch device.
    """

    def __init__(
        self,
        *,
        info: EncoderInfo,
        patch: PatchSpec,
        mean: Colour,
        std: Colour,
        load: Callable[[], Model],
        device: str = "cpu",
    ) -> None:
        self._info = info
        self._patch = patch
        self._mean, self._std = mean, std
        self._load = load
        self._device = device
        self._run = PatchModel(self._forward, name=info.name, dim=info.dim, device=device)

    @property
    def info(self) -> EncoderInfo:
        """Name, revision, dim, licence and digest."""
        return self._info

    @property
    def runtime(self) -> str:
        """What runs the model; empty before the first patch."""
        return self._run.runtime

    @property
    def patch(self) -> PatchSpec:
        """The patch this encoder expects."""
        return self._patch

    def stain_of(self, patches: Patches) -> Floats:
        """Zeros `float32 (2, 3)`: stain is not taken out."""
        self._patch.check(patches)
        return np.zeros((2, 3), dtype=np.float32)

    def features(self, patches: Patches, *, stain: Floats | None = None) -> Floats:  # noqa: ARG002 (the contract's)
        """Features `float32 (n, dim)` of RGB uint8 patches `(n, side_px, side_px, 3)`.

        Raises
        ------
        PatchError
            If the patches have another shape or dtype.
        SpaceMismatchError
            If the model gives another dimension than it declares.
        """
        self._patch.check(patches)
        rows = self._run(patches)
        if rows.shape[1:] != (self._info.dim,):
            raise SpaceMismatchError(
                f"Encoder {self._info.name!r} declares {self._info.dim} dimensions but gave {rows.shape[1:]}."
            )
        return rows

    def project(self, features: Floats, *, centre: Floats | None = None) -> Vectors:  # noqa: ARG002 (the contract's)
        """Unit vectors `float32 (n, dim)`: the features scaled to length 1.

        Raises
        ------
        SpaceMismatchError
            If the features have another dimension.
        """
        if features.ndim != 2 or features.shape[1] != self._info.dim:
            raise SpaceMismatchError(
                f"Got features of shape {features.shape}; expected (n, {self._info.dim}) of encoder "
                f"{self._info.name!r}. Name the encoder that made them."
            )
        return unit_rows(features.astype(np.float32, copy=False))

    def encode(self, patches: Patches, *, section: SectionStats | None = None) -> Vectors:  # noqa: ARG002
        """Unit vectors `float32 (n, dim)`."""
        return self.project(self.features(patches))

    def _forward(self) -> Forward:
        import torch

        model = self._load()
        mean, std = (torch.tensor(colour, device=self._device).view(3, 1, 1) for colour in (self._mean, self._std))

        def forward(pixels: Any) -> Any:
            return model((pixels.permute(0, 3, 1, 2).float().div(255) - mean) / std)

        return forward


def frozen_encoder(
    facts: EncoderFacts, weights: Path, *, load: Callable[[], Model], side_um: float | None, device: str
) -> FrozenImageEncoder:
    """The encoder that `facts` declares, its revision the digest of its weights file.

    Raises
    ------
    PatchError
        If no scale is stated or given, or another than is stated.
    WeightsMissingError
        If there is no such file.
    EncoderError
        If no normalisation is stated.
    """
    patch = facts.patch(side_um=side_um)
    if facts.mean is None or facts.std is None:
        raise EncoderError(f"Encoder {facts.name!r} states no normalisation; give its mean and sd of RGB in [0, 1].")
    if not weights.is_file():
        raise WeightsMissingError(
            f"{weights} is missing: the weights of {facts.name} ({facts.licence or 'licence not stated'}) come from "
            f"{facts.source}."
        )
    digest = file_sha256(weights)
    info = EncoderInfo(
        name=facts.name,
        revision=digest[:12],
        modality="image",
        dim=facts.dim,
        licence=facts.licence or "not stated",
        weights_sha256=digest,
    )
    return FrozenImageEncoder(info=info, patch=patch, mean=facts.mean, std=facts.std, load=load, device=device)
