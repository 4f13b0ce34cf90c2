"""Which reader opens a picture: by its name, and for plain `.tif` by whether OpenSlide knows whose it is.

Some slides are several files: a folder of DICOM, the folder beside an mrxs, the pictures that a vms names.
"""

from pathlib import Path

from indexer.errors import SlideError
from indexer.readers.flat_image import FlatImage
from indexer.readers.openslide_image import OpenSlideImage
from indexer.readers.tiff_image import TiffImage
from indexer.slides import SlideImage

FLAT = (".png", ".jpg", ".jpeg")
OME = (".ome.tif", ".ome.tiff")
SCANS = (".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide")
DICOM = ".dcm"
_HAMAMATSU = (".vms", ".vmu")
_TIFF = (".tif", ".tiff")
#: Names of pictures of slides, as in a folder of them.
PICTURES = (*SCANS, *OME, *_TIFF, *FLAT)
_MAX_LIST_BYTES = 2**20


def open_picture(path: Path) -> SlideImage:
    """Picture of a slide: PNG or JPEG, TIFF, a folder of DICOM, or what OpenSlide reads. Raises `SlideError`."""
    if path.is_dir():
        return OpenSlideImage(_dicom_files(path)[0])
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


def picture_files(path: Path) -> tuple[Path, ...]:
    """All files of a picture, whose bytes decide what is read."""
    if path.is_dir():
        return tuple(_dicom_files(path))
    if path.suffix.lower() == DICOM:
        return tuple(_dicom_files(path.parent))
    if path.suffix.lower() == ".mrxs":
        return (path, *sorted(one for one in path.with_suffix("").glob("*") if one.is_file()))
    return (path, *named_files(path))


def named_files(path: Path) -> tuple[Path, ...]:
    """Files that a slide of Hamamatsu names, pictures among them that are no slides of their own; of others none."""
    if path.suffix.lower() not in _HAMAMATSU or not path.is_file():
        return ()
    text = path.read_bytes()[:_MAX_LIST_BYTES].decode("utf-8", "replace")
    names = (line.partition("=")[2].strip() for line in text.splitlines())
    return tuple(path.parent / name for name in names if name and "/" not in name and (path.parent / name).is_file())


def _dicom_files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() == DICOM and path.is_file())
    if not found:
        raise SlideError(f"The folder {folder} holds no {DICOM} file; expected those of one slide.")
    return found


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
