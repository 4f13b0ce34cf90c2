"""Stain normalisation: colours of a section moved to a fixed target in CIELAB.

Reinhard et al., "Color transfer between images", IEEE CG&A 21(5), 2001: each Lab channel is shifted and scaled so
that its mean and standard deviation over the tissue become the target's. A stain is `float32 (2, 3)`: the means of
L, a, b over the sampled pixels, then their standard deviations.
"""

import warnings
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from encoders.contracts import Floats, Patches
from encoders.errors import PatchError

_PIXEL_STEP = 4  # every fourth pixel each way is plenty for six moments
_TABLE_SIDE = 65  # the largest that Pillow takes
#: sRGB (IEC 61966-2-1) to XYZ, the white of D65, and below which share of it CIELAB is linear.
_XYZ_OF_RGB = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE_XYZ = (0.95047, 1.0, 1.08883)
_DARK = 0.008856
_MIN_SD = 1e-3  # a section of one flat colour is shifted, not blown up


def measure_stain(patches: Patches) -> Floats:
    """Stain of a section from a sample of its tissue patches.

    Parameters
    ----------
    patches : uint8 (n, height, width, 3)
        RGB; all that matters is that they cover tissue of one section.

    Raises
    ------
    PatchError
        If there is no patch.
    """
    if len(patches) == 0:
        raise PatchError("A stain cannot be measured on 0 patches; give at least one patch of tissue.")
    n, total, squares = 0, np.zeros(3), np.zeros(3)
    for patch in patches:  # one by one all of it stays in the processor's cache
        lab = _lab(patch[::_PIXEL_STEP, ::_PIXEL_STEP].reshape(-1, 3))
        n += lab.shape[1]
        total += lab.sum(axis=1)
        squares += (lab**2).sum(axis=1)
    mean = total / n
    sd = np.sqrt(np.maximum(squares / n - mean**2, 0))
    return np.stack([mean, sd]).astype(np.float32)


def move_stain(patches: Patches, *, stain: Floats, target: Floats) -> Patches:
    """Repaint RGB uint8 patches so that tissue of `stain` looks like tissue of `target`.

    The map is one function of the pixel's colour, so it is tabulated once per stain on a 65^3 grid and interpolated;
    this is within a grey level of the direct computation. The few hundred thousand colours that a slide has are
    interpolated when they are first seen and looked up from then on, five times as fast.
    """
    repaint = _repainting(np.asarray(stain, dtype=np.float32).tobytes(), np.asarray(target, dtype=np.float32).tobytes())
    moved = np.empty_like(patches)
    for i, patch in enumerate(patches):
        moved[i] = repaint(patch)
    return moved


def _lab(pixels: Patches) -> npt.NDArray[np.float64]:
    """CIELAB `(3, n)` of RGB uint8 `(n, 3)`, white D65; as scikit-image has it to 1e-4, seven times as fast."""
    tables = _xyz_tables()
    red, green, blue = (np.ascontiguousarray(pixels[:, channel]) for channel in range(3))
    xyz = tables[0].take(red, axis=1) + tables[1].take(green, axis=1) + tables[2].take(blue, axis=1)
    bent = np.where(xyz > _DARK, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = bent
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)]).astype(np.float64)


@lru_cache(maxsize=1)
def _xyz_tables() -> tuple[Floats, ...]:
    """What each value of red, green and blue adds to X, Y and Z over those of white, float32 (3, 256) each."""
    value = np.arange(256) / 255
    linear = np.where(value > 0.04045, ((value + 0.055) / 1.055) ** 2.4, value / 12.92)
    of_white = np.array(_XYZ_OF_RGB) / np.array(_WHITE_XYZ)[:, None]
    return tuple(np.outer(of_white[:, channel], linear).astype(np.float32) for channel in range(3))


class _Repainting:
    """A map of colours that remembers those it has seen, by their three bytes as a number."""

    def __init__(self, table: ImageFilter.Color3DLUT) -> None:
        self._table = table
        # 64 MiB of which only the pages of colours seen are ever touched. 0 is a colour not seen: alpha is 255.
        self._seen = np.zeros(2**24, dtype="<u4")

    def __call__(self, patch: Patches) -> Patches:
        colours = _as_rgba(Image.fromarray(patch)) & 0xFFFFFF
        moved = self._seen.take(colours)
        new = colours[moved == 0]
        if new.size:
            pixels = np.ascontiguousarray(new.view(np.uint8).reshape(1, -1, 4)[..., :3])
            self._seen[new] = _as_rgba(Image.fromarray(pixels).filter(self._table))
            moved = self._seen.take(colours)
        height, width = patch.shape[:2]
        return np.asarray(Image.frombuffer("RGBX", (width, height), moved, "raw", "RGBX", 0, 1).convert("RGB"))


def _as_rgba(image: Image.Image) -> npt.NDArray[np.uint32]:
    """Pixels row by row as numbers: red is the lowest byte, alpha, 255, the highest."""
    return np.frombuffer(image.convert("RGBA").tobytes(), dtype="<u4")


@lru_cache(maxsize=4)
def _repainting(stain: bytes, target: bytes) -> _Repainting:
    return _Repainting(_colour_table(stain, target))


def _colour_table(stain: bytes, target: bytes) -> ImageFilter.Color3DLUT:
    from skimage.color import lab2rgb, rgb2lab

    (mean, sd), (new_mean, new_sd) = (_as_stain(stain), _as_stain(target))
    axis = np.linspace(0.0, 1.0, _TABLE_SIDE)
    # Pillow wants red to change fastest.
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    lab = rgb2lab(np.stack([red, green, blue], axis=-1).reshape(-1, 1, 3))
    moved = (lab - mean) / np.maximum(sd, _MIN_SD) * new_sd + new_mean
    with warnings.catch_warnings():
        # Colours outside the display gamut are clipped, as they should be; skimage says so each time.
        warnings.filterwarnings("ignore", message="Conversion from CIE-LAB", category=UserWarning)
        rgb = np.clip(lab2rgb(moved), 0.0, 1.0)
    return ImageFilter.Color3DLUT(_TABLE_SIDE, rgb.astype(np.float32).ravel())


def _as_stain(packed: bytes) -> npt.NDArray[np.float64]:
    return np.frombuffer(packed, dtype=np.float32).reshape(2, 3).astype(np.float64)
