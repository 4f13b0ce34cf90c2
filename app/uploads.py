"""Files from outside: pictures, bounded in bytes and pixels before anything is decoded, and text."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from app.errors import ShowError

MAX_UPLOAD_MB = 20
MAX_PIXELS = 16_000_000
FORMATS = ("PNG", "JPEG", "TIFF")


def decode_patch(content: bytes) -> npt.NDArray[np.uint8]:
    """Read an uploaded picture as RGB uint8 `(height, width, 3)`.

    Raises
    ------
    ShowError
        If it is no PNG, JPEG or TIFF, has over `MAX_PIXELS` pixels, or does not decode.
    """
    try:
        picture = Image.open(io.BytesIO(content), formats=FORMATS)  # reads the header, no pixels
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise ShowError(
            f"The uploaded file ({len(content):,} bytes) is no PNG, JPEG or TIFF picture of up to "
            f"{MAX_PIXELS:,} pixels. Cut one patch of tissue and save it as PNG."
        ) from error
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise ShowError(
            f"The uploaded picture has {width:,} x {height:,} pixels; at most {MAX_PIXELS:,} are read. "
            "Cut one patch of tissue out of it."
        )
    try:
        return np.asarray(picture.convert("RGB"), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError) as error:
        raise ShowError(f"The uploaded picture does not decode: {error}. Save it again as PNG.") from error


def decode_text(content: bytes, name: str) -> str:
    """Read an uploaded text file in UTF-8. Raises `ShowError` for anything else."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ShowError(
            f"{name} is no text in UTF-8; save it as tab- or comma-separated text and try again."
        ) from error


def as_jpeg(pixels: npt.NDArray[np.uint8], side_px: int = 224) -> bytes:
    """Central square of a picture as a JPEG `side_px` wide, to be shown."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    square = Image.fromarray(pixels[top : top + side, left : left + side]).resize((side_px, side_px))
    buffer = io.BytesIO()
    square.save(buffer, format="JPEG", quality=88)
    return buffer.getvalue()
