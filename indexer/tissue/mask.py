"""Where the tissue is on a slide's thumbnail."""

import numpy as np
import numpy.typing as npt

from indexer.slides import Pixels

# Glass is nearly grey: JPEG noise and a tinted lamp stay below the floor. Tissue that fills the picture has no glass to
# split from; Otsu would then cut pale from strong stain, which the ceiling prevents.
_FLOOR, _CEILING = 0.06, 0.12
_WINDOW_PX = 7
# Eosin that ran over the glass is as pink as stroma but smooth: on her2st its grey levels vary by less than 3 within a
# window, those of tissue by more than 8. What is stained more strongly than any haze needs no texture.
_TEXTURE = 5.0
_STRONG = 0.25
_SMALLEST = 5e-4  # share of the picture: smaller specks are dust, smaller holes are lumina


def tissue_mask(thumbnail: Pixels) -> npt.NDArray[np.bool_]:
    """Tissue of a thumbnail: Otsu's threshold on the saturation, smooth haze, specks and small holes removed.

    Otsu, A threshold selection method from gray-level histograms, IEEE Trans Syst Man Cybern 1979.

    Parameters
    ----------
    thumbnail : uint8 (height, width, 3)
        RGB, about a thousand pixels on the longer side.

    Returns
    -------
    bool (height, width)
        `True` on tissue; all `False` on a blank slide.
    """
    from scipy.ndimage import uniform_filter
    from skimage.morphology import remove_small_holes, remove_small_objects

    saturation = uniform_filter(_saturation(thumbnail), _WINDOW_PX)
    stained = saturation > np.clip(_otsu(saturation), _FLOOR, _CEILING)
    mask = stained & ((_texture(thumbnail) > _TEXTURE) | (saturation > _STRONG))
    smallest = max(9, round(_SMALLEST * mask.size))
    cleaned = remove_small_objects(mask, max_size=smallest)
    return np.asarray(remove_small_holes(cleaned, max_size=smallest), dtype=np.bool_)


def _otsu(values: npt.NDArray[np.float32]) -> float:
    """Otsu's threshold; the only value of a picture of one."""
    from skimage.filters import threshold_otsu

    threshold: float = threshold_otsu(values)  # type: ignore[no-untyped-call]  # scikit-image has no types for it
    return float(threshold)


def _saturation(pixels: Pixels) -> npt.NDArray[np.float32]:
    """HSV saturation in [0, 1]; zero where the pixel is black."""
    values = pixels.astype(np.float32)
    high = values.max(axis=2)
    saturation = np.zeros(pixels.shape[:2], dtype=np.float32)
    np.divide(high - values.min(axis=2), high, out=saturation, where=high > 0)
    return saturation


def _texture(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Standard deviation of the grey level within a window round each pixel, in grey levels."""
    from scipy.ndimage import uniform_filter

    grey = pixels.mean(axis=2)
    variance = uniform_filter(grey**2, _WINDOW_PX) - uniform_filter(grey, _WINDOW_PX) ** 2
    return np.asarray(np.sqrt(np.maximum(variance, 0)), dtype=np.float32)
