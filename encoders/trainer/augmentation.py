"""Patches as they could as well have been: turned, mirrored, and stained a little differently.

Stain: Tellez et al., Medical Image Analysis 58, 2019: haematoxylin, eosin and residual densities (Ruifrok & Johnston,
2001) are each scaled and shifted at random.
"""

import numpy as np
import numpy.typing as npt

from encoders.contracts import Patches
from encoders.projections import oriented
from encoders.recipe import MAX_ORIENTATIONS

#: Optical density of red, green and blue per unit of haematoxylin, eosin and DAB (Ruifrok & Johnston, 2001).
_DENSITIES = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]], dtype=np.float32)
_UNMIX = np.linalg.inv(_DENSITIES).astype(np.float32)
_SHIFT = 0.2  # a stain is shifted by at most this part of what it is scaled by
_WHITE = 256.0


def jitter_stain(patches: Patches, *, spread: float, rng: np.random.Generator) -> Patches:
    """Scale each stain of all patches by `1 +- spread` and shift it a little, the same for the whole batch.

    Parameters
    ----------
    patches : uint8 (n, height, width, 3)
        RGB.
    spread : float
        Largest change of a stain, as a share; 0 changes nothing.
    """
    if spread == 0:
        return patches
    scale = rng.uniform(1 - spread, 1 + spread, size=3).astype(np.float32)
    shift = rng.uniform(-spread * _SHIFT, spread * _SHIFT, size=3).astype(np.float32)
    density = -np.log((patches.astype(np.float32) + 1) / _WHITE)
    stains = density @ _UNMIX
    changed = (stains * scale + shift) @ _DENSITIES
    return np.asarray(np.clip(np.exp(-changed) * _WHITE - 1 + 0.5, 0, 255), dtype=np.uint8)


def view_of(patches: Patches, number: int, *, stain_jitter: float, seed: int) -> Patches:
    """View number 0 to 7 of a section's patches: view 0 as they lie, the others turned or mirrored, and re-stained."""
    turned = oriented(patches, number)
    if number == 0:
        return turned
    return jitter_stain(turned, spread=stain_jitter, rng=np.random.default_rng([seed, number]))


def random_view(
    patch: npt.NDArray[np.uint8], *, orientations: int, stain_jitter: float, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """One patch `(side, side, 3)` in a random orientation and stain."""
    number = int(rng.integers(min(orientations, MAX_ORIENTATIONS)))
    turned: npt.NDArray[np.uint8] = jitter_stain(oriented(patch[None], number), spread=stain_jitter, rng=rng)[0]
    return turned
