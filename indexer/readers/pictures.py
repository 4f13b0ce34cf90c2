"""Which reader opens a picture: by its name, and for plain `.tif` by whether OpenSlide knows whose it is."""

from pathlib import Path

from indexer.errors import SlideError
from indexer.readers.flat_image import FlatImage
from indexer.readers.openslide_image import OpenSlideImage
from indexer.readers.tiff_image import TiffImage
from indexer.slides import SlideImage

FLAT = (".png", ".jpg", ".jpeg")
OME = (".ome.tif", ".ome.tiff")
SCANS = (".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide")
_TIFF = (".tif", ".tiff")
#: Names of pictures of slides, as in a folder of them.
PICTURES = (*SCANS, *OME, *_TIFF, *FLAT)


def open_picture(path: Path) -> SlideImage:
    """Picture of a slide: PNG or JPEG, TIFF, or what OpenSlide reads. Raises `SlideError`."""
    if path.suffix.lower() in FLAT:
        return FlatImage(path)
    return TiffImage(path) if _is_plain_tiff(path) else OpenSlideImage(path)


def picture_mpp(path: Path) -> float | None:
    """Micrometres per level-0 pixel as the file says.

    `None` if it does not, or cannot be read, which is told when the picture itself is opened.
    """
    try:
        image = open_picture(path)
    except SlideError:
        return None
    try:
        return None if isinstance(image, FlatImage) else _own_mpp(image)
    finally:
        image.close()


def _own_mpp(image: SlideImage) -> float | None:
    return image.mpp if isinstance(image, OpenSlideImage | TiffImage) else None


def _is_plain_tiff(path: Path) -> bool:
    """Whether tifffile reads the file: OME always, since OpenSlide sees no levels in it; others unless of a vendor."""
    name = path.name.lower()
    if name.endswith(OME):
        return True
    if not name.endswith(_TIFF) or not path.is_file():
        return False
    import openslide

    return openslide.OpenSlide.detect_format(str(path)) is None
