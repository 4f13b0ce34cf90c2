"""Checks that a space does on this machine what its card says."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from encoders.contracts import Vectors
from encoders.registry import open_space

_UNIT_TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at, whether it holds, and what was found."""

    what: str
    passed: bool
    found: str


def check(name_or_path: str | Path, *, device: str = "cpu") -> list[Check]:
    """Encode seeded noise with both sides of a space and compare the vectors with what its card declares.

    Raises
    ------
    EncoderError
        If the space is not known, or its files are missing or do not belong together.
    """
    space = open_space(name_or_path, device=device)
    rng = np.random.default_rng(0)
    side = space.image.patch.side_px
    patches = rng.integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    counts = sp.csr_matrix(rng.poisson(1.0, (2, len(space.expression.genes))).astype(np.float32))
    images = space.image.encode(patches)
    profiles = space.expression.encode_counts(counts, space.expression.genes).vectors
    return [
        Check("card and weights belong together", passed=True, found=f"revision {space.card.revision}"),
        *_vector_checks("image", images, space.card.dim),
        *_vector_checks("expression", profiles, space.card.dim),
        Check("image side is deterministic", bool(np.array_equal(images, space.image.encode(patches))), f"on {device}"),
    ]


def _vector_checks(side: str, vectors: Vectors, dim: int) -> list[Check]:
    norms = np.linalg.norm(vectors, axis=1)
    return [
        Check(f"{side} vectors are float32 (n, {dim})", _is_shaped(vectors, dim), f"{vectors.dtype} {vectors.shape}"),
        Check(
            f"{side} vectors have norm 1",
            bool(np.allclose(norms, 1, atol=_UNIT_TOLERANCE)),
            f"{norms.min():.6f} to {norms.max():.6f}",
        ),
    ]


def _is_shaped(vectors: Vectors, dim: int) -> bool:
    return vectors.dtype == np.float32 and vectors.shape == (2, dim)
