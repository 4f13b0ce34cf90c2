"""The model family of the space `mini`: fixed image features and log-expression, each with one learned projection.

Both sides are affine maps into the shared space followed by scaling to unit length. Image side: stain normalisation,
backbone, minus a centre, times a matrix. Expression side (`mini_expression`): `log1p` of counts per 10,000, minus a
centre, in standard deviations of each gene, times a matrix. The matrices are canonical directions of paired sections
(`alignment`).
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from encoders.backbones import Backbone
from encoders.contracts import EncoderInfo, Floats, Patches, PatchSpec, SectionStats, Vectors, unit_rows
from encoders.errors import PatchError
from encoders.stain import measure_stain, move_stain

_ARRAYS = (
    "image_projection",
    "image_centre",
    "stain",
    "stain_target",
    "expression_projection",
    "gene_mean",
    "gene_sd",
    "rank_curve",
    "gene_directions",
)
_SYMBOLS = ("genes", "query_genes")


@dataclass(frozen=True, slots=True)
class MiniWeights:
    """Everything learned, `float32` throughout.

    Attributes
    ----------
    image_projection : (feature_dim, dim)
    image_centre : (feature_dim,)
        Mean feature of the paired training sections.
    stain : (2, 3)
        Mean stain of the training sections (CIELAB).
    stain_target : (2, 3) or None
        The stain every section is moved to; `None` where colours are left as they are.
    expression_projection : (n_genes, dim)
        Acts on centred log-expression in units of `gene_sd`.
    gene_mean, gene_sd : (n_genes,)
        Mean over the training sections and within-section standard deviation of log-expression.
    rank_curve : (n_ranks,)
        Mean log-expression of the first, second, ... gene of a training spot; reads gene sentences.
    gene_directions : (n_query_genes, dim)
        Shift of a spot's place for one standard deviation of each gene a list may name.
    genes, query_genes : tuple of str
        Symbols of the rows of `expression_projection` and of `gene_directions`.
    """

    image_projection: Floats
    image_centre: Floats
    stain: Floats
    stain_target: Floats | None
    expression_projection: Floats
    gene_mean: Floats
    gene_sd: Floats
    rank_curve: Floats
    gene_directions: Floats
    genes: tuple[str, ...]
    query_genes: tuple[str, ...]

    @property
    def dim(self) -> int:
        """Dimensions of the space."""
        return int(self.image_projection.shape[1])

    def to_bytes(self) -> bytes:
        """The safetensors form; equal weights give equal bytes."""
        from safetensors.numpy import save

        present = {name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None}
        arrays = {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in present.items()}
        # Symbols travel as bytes of text: safetensors does not keep the order of several metadata entries.
        texts = {name: np.frombuffer("\n".join(getattr(self, name)).encode(), dtype=np.uint8) for name in _SYMBOLS}
        return bytes(save({**arrays, **texts}))

    @classmethod
    def from_bytes(cls, data: bytes) -> "MiniWeights":
        """Inverse of `to_bytes`; raises `safetensors.SafetensorError` or `KeyError` on anything else."""
        from safetensors.numpy import load

        arrays = load(data)
        symbols: dict[str, Any] = {name: tuple(arrays[name].tobytes().decode().split("\n")) for name in _SYMBOLS}
        required: dict[str, Any] = {name: arrays[name] for name in _ARRAYS if name != "stain_target"}
        return cls(**required, **symbols, stain_target=arrays.get("stain_target"))

    def sha256(self) -> str:
        """Digest of `to_bytes`, the identity of the weights."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


class MiniImageEncoder:
    """Tiles to unit vectors: stain normalisation, backbone, centring, projection."""

    def __init__(self, weights: MiniWeights, *, info: EncoderInfo, patch: PatchSpec, backbone: Backbone) -> None:
        self.weights = weights
        self.backbone = backbone
        self._info = info
        self._patch = patch

    @property
    def info(self) -> EncoderInfo:
        """Name, revision, dim, licence and digest."""
        return self._info

    @property
    def patch(self) -> PatchSpec:
        """The patch this encoder expects."""
        return self._patch

    def open_model(self, example: Patches) -> None:
        """Open the backbone for patches `(n, side_px, side_px, 3)` like these, at least one."""
        self._patch.check(example)
        self.backbone.features(example[:1])

    def stain_of(self, patches: Patches) -> Floats:
        """Stain of a section, `float32 (2, 3)`: CIELAB means and standard deviations over tissue patches.

        Raises
        ------
        PatchError
            If the patches have another shape or dtype than `patch` says, or there are none.
        """
        self._patch.check(patches)
        return measure_stain(patches)

    def features(self, patches: Patches, *, stain: Floats | None = None) -> Floats:
        """Backbone features `float32 (n, feature_dim)` after moving `stain` to the target.

        Parameters
        ----------
        patches : uint8 (n, side_px, side_px, 3)
            RGB in [0, 255].
        stain : float32 (2, 3), optional
            Stain of the patches' section (`stain_of`); the training sections' if not given.
        """
        self._patch.check(patches)
        target = self.weights.stain_target
        if target is None:
            return self.backbone.features(patches)
        own = self.weights.stain if stain is None else stain
        return self.backbone.features(move_stain(patches, stain=own, target=target))

    def project(self, features: Floats, *, centre: Floats | None = None) -> Vectors:
        """Unit vectors `float32 (n, dim)` of features minus `centre`, or minus the training sections' mean feature.

        Raises
        ------
        PatchError
            If the features do not have the backbone's length.
        """
        expected = len(self.weights.image_centre)
        if features.ndim != 2 or features.shape[1] != expected:
            raise PatchError(
                f"Got features of shape {features.shape}; expected (n, {expected}) of {self.backbone.name}."
            )
        own = self.weights.image_centre if centre is None else centre
        return unit_rows((features - own).astype(np.float32) @ self.weights.image_projection)

    def encode(self, patches: Patches, *, section: SectionStats | None = None) -> Vectors:
        """Unit vectors `float32 (n, dim)`; without `section` the training sections' stain and centre are assumed."""
        if section is None:
            return self.project(self.features(patches))
        return self.project(self.features(patches, stain=section.stain), centre=section.centre)
