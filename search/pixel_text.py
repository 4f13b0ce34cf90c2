"""Pixels as text, for queries that are written down: PNG in base64, which loses nothing."""

import base64
import binascii
import io

import numpy as np
import numpy.typing as npt

from search.errors import QueryError

#: A patch of the largest encoders has 1,024 pixels a side; more is a slide, not a patch.
_MOST_PX = 64_000_000


def text_of_pixels(pixels: npt.NDArray[np.uint8]) -> str:
    """PNG in base64 of RGB uint8 pixels `(height, width, 3)`."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def pixels_of_text(text: str) -> npt.NDArray[np.uint8]:
    """RGB uint8 pixels `(height, width, 3)` of an image in base64; raises `QueryError`."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
            if image.width * image.height > _MOST_PX:
                raise QueryError(f"The picture has {image.width} x {image.height} pixels; give one tile, not a slide.")
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (binascii.Error, UnidentifiedImageError, OSError, SyntaxError) as error:
        raise QueryError(f"Cannot read the picture of the patch: {error}. Give a PNG in base64.") from error
