"""Everything learned by a training on towers, as one safetensors file; the towers themselves are not in it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from encoders.contracts import Floats
from encoders.trainer.heads import Head

_ARRAYS = ("image_centre", "stain", "stain_target", "expression_centre", "rank_curve", "gene_directions", "gene_norms")
_SYMBOLS = ("genes", "query_genes", "norm_genes", "housekeeping")


@dataclass(frozen=True, slots=True)
class TowerWeights:
    """Both heads and what surrounds them, `float32` throughout; what one kind of space does not have is `None`.

    Attributes
    ----------
    image_head, expression_head : Head
        On centred features, and on centred log-expression or sentence features.
    image_centre, expression_centre : (n_inputs,)
        Mean of the training sections' means.
    stain, stain_target : (2, 3) or None
        Mean stain of the training sections, and the stain that patches are moved to; `None` where they are not.
    rank_curve : (n_ranks,) or None
        Mean log-expression of the first, second, ... gene of a training spot.
    gene_directions : (n_query_genes, dim) or None
        Shift of a spot's place for one standard deviation of each gene a list may name.
    gene_norms : (n_norm_genes,) or None
        What values are divided by before they are ranked, for the recipe `normalised-rank`.
    genes, query_genes, norm_genes : tuple of str
        Symbols of the inputs of the expression head, of `gene_directions`, of `gene_norms`.
    housekeeping : tuple of str
        Genes that sentences leave out.
    """

    image_head: Head
    expression_head: Head
    image_centre: Floats
    expression_centre: Floats
    stain: Floats | None = None
    stain_target: Floats | None = None
    rank_curve: Floats | None = None
    gene_directions: Floats | None = None
    gene_norms: Floats | None = None
    genes: tuple[str, ...] = field(default=())
    query_genes: tuple[str, ...] = field(default=())
    norm_genes: tuple[str, ...] = field(default=())
    housekeeping: tuple[str, ...] = field(default=())

    def to_bytes(self) -> bytes:
        """The safetensors form; equal weights give equal bytes."""
        from safetensors.numpy import save

        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None}
        arrays |= self.image_head.arrays("image") | self.expression_head.arrays("expression")
        texts = {
            name: np.frombuffer("\n".join(getattr(self, name)).encode(), dtype=np.uint8)
            for name in _SYMBOLS
            if getattr(self, name)
        }
        floats = {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in arrays.items()}
        return bytes(save({**floats, **texts}))

    @classmethod
    def from_bytes(cls, data: bytes) -> "TowerWeights":
        """Inverse of `to_bytes`; raises `safetensors.SafetensorError` or `KeyError` on anything else."""
        from safetensors.numpy import load

        arrays: Mapping[str, Any] = load(data)
        symbols: dict[str, Any] = {
            name: tuple(arrays[name].tobytes().decode().split("\n")) if name in arrays else () for name in _SYMBOLS
        }
        found: dict[str, Any] = {name: arrays.get(name) for name in _ARRAYS}
        for name in ("image_centre", "expression_centre"):
            found[name] = arrays[name]
        heads = (Head.from_arrays(arrays, "image"), Head.from_arrays(arrays, "expression"))
        return cls(image_head=heads[0], expression_head=heads[1], **found, **symbols)

    def sha256(self) -> str:
        """Digest of `to_bytes`."""
        return hashlib.sha256(self.to_bytes()).hexdigest()
