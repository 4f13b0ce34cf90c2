"""Checks that a space or an encoder does on this machine what it declares."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from encoders.catalogue import CATALOGUE
from encoders.contracts import Patches, PatchSpec, Vectors
from encoders.errors import UnknownEncoderError
from encoders.image_registry import facts_of, open_encoder
from encoders.registry import known_spaces, open_space

_UNIT_TOLERANCE = 1e-5
#: Where an encoder states no scale, the check takes 20x; a test patch is noise and has none.
_CHECK_MPP = 0.5
#: For encoders that read any symbol.
_SYMBOLS = ("KRT19", "ERBB2", "COL1A1", "CD3D", "IGKC", "VIM", "ESR1", "FN1")


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
    patches = _noise(space.image.patch)
    genes = space.expression.genes or _SYMBOLS
    counts = sp.csr_matrix(np.random.default_rng(1).poisson(1.0, (2, len(genes))).astype(np.float32))
    images = space.image.encode(patches)
    profiles = space.expression.encode_counts(counts, genes).vectors
    return [
        Check("card and weights belong together", passed=True, found=f"revision {space.card.revision}"),
        *_vector_checks("image", images, space.card.dim),
        *_vector_checks("expression", profiles, space.card.dim),
        Check("image side is deterministic", bool(np.array_equal(images, space.image.encode(patches))), f"on {device}"),
    ]


def is_space(name_or_path: str) -> bool:
    """Whether a name is that of a space, or a folder, and not of an encoder alone."""
    return name_or_path in known_spaces() or Path(name_or_path).is_dir()


def check_encoder(
    name: str, *, weights: Path | None = None, side_um: float | None = None, device: str = "cpu"
) -> list[Check]:
    """Encode seeded noise with an image encoder and compare the vectors with what is declared.

    Raises
    ------
    EncoderError
        If the encoder is not known, or its weights or package are missing, or they are another model's.
    """
    if "/" not in name and name not in CATALOGUE:
        raise UnknownEncoderError(
            f"There is no space or encoder {name!r}; known are the spaces {', '.join(known_spaces())} and the encoders "
            f"{', '.join(CATALOGUE)}. Give one of these, or a folder of a space."
        )
    facts = facts_of(name)
    if side_um is None and facts.side_um is None and facts.side_px is not None:
        side_um = facts.side_px * _CHECK_MPP
    encoder = open_encoder(name, weights=weights, side_um=side_um, device=device)
    patches = _noise(encoder.patch)
    vectors = encoder.encode(patches)
    patch = f"{encoder.patch.side_px} px, {encoder.patch.side_um:g} µm"
    return [
        Check("weights are a checkpoint of it", passed=True, found=f"SHA-256 {encoder.info.weights_sha256[:12]}"),
        Check("takes a test patch", passed=True, found=patch),
        *_vector_checks("image", vectors, facts.dim),
        Check("image side is deterministic", bool(np.array_equal(vectors, encoder.encode(patches))), f"on {device}"),
    ]


def _noise(patch: PatchSpec) -> Patches:
    return np.random.default_rng(0).integers(0, 256, (2, patch.side_px, patch.side_px, 3), dtype=np.uint8)


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
